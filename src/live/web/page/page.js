// Starts the page: login, events of the device, what is shown when the connection is lost.

import { api } from './api.js';
import { attempt, byId } from './elements.js';
import { onState, refresh, refreshSoon } from './state.js';
import { cameraSaid, showSeen, showStatus, startPicture, stopPicture } from './live.js';
import { releaseHold } from './hold.js';
import { addNote, clearNotes } from './heads.js';
import './teach.js';
import './check.js';

const SILENT_MS = 6_000; // frames come many a second: then the camera or the connection is gone
let events = null;
let lastSeen = 0;
let retryMs = 1_000;

async function start() {
  try {
    await refresh();
  } catch (error) {
    if (error.status !== 401) lose();
    return;
  }
  byId('login').hidden = true;
  byId('main').hidden = false;
  listen();
}

function listen() {
  events?.close();
  lastSeen = Date.now();
  events = new EventSource('api/events');
  events.onopen = connected;
  events.onerror = () => lose();
  events.addEventListener('seen', ({ data }) => {
    lastSeen = Date.now();
    retryMs = 1_000;
    if (!document.hidden) showSeen(JSON.parse(data));
  });
  events.addEventListener('changed', () => { if (!document.hidden) refreshSoon(); });
  events.addEventListener('note', ({ data }) => {
    const note = JSON.parse(data);
    if (note.text.startsWith('camera: ')) cameraSaid(note.text.slice('camera: '.length));
    addNote(note);
  });
}

function connected() {
  byId('lost').hidden = true;
  clearNotes(); // those that there are come again
  lookAgain();
}

function lookAgain() {
  if (document.hidden) return;
  refreshSoon(); // whatever changed in between
  startPicture();
}

function lose() {
  releaseHold();
  byId('lost').hidden = false;
  showStatus('lost', 'connection lost');
  // The browser tries again by itself, except after an answer that is no stream of events, and then for good.
  if (!events || events.readyState === EventSource.CLOSED) setTimeout(start, retryMs);
  retryMs = Math.min(2 * retryMs, 30_000);
}

/** A device that lost its power or its network says no goodbye: after a silence the events are asked for anew. */
function watchSilence() {
  const silent = Date.now() - lastSeen;
  if (!events || events.readyState === EventSource.CLOSED || document.hidden || silent < SILENT_MS) return;
  const isOpen = events.readyState === EventSource.OPEN;
  releaseHold();
  byId('lost').hidden = isOpen;
  showStatus('lost', isOpen ? 'no picture from the camera' : 'connection lost');
  if (silent < SILENT_MS + retryMs) return;
  retryMs = Math.min(2 * retryMs, 30_000);
  listen();
}

/** `#token=...` is what the device prints as a link; it must not stay in the address bar and the history. */
async function loginByLink() {
  const token = /^#token=(.+)$/.exec(location.hash)?.[1];
  if (!token) return false;
  history.replaceState(null, '', location.pathname + location.search);
  await attempt(byId('login'), () => api('POST', 'login', { token }));
  return true;
}

document.addEventListener('unauthorized', () => {
  releaseHold();
  events?.close();
  stopPicture();
  for (const id of ['main', 'lost']) byId(id).hidden = true;
  byId('login').hidden = false;
  showStatus('waiting', 'not logged in');
  byId('token').focus();
});

byId('login-form').onsubmit = (event) => {
  event.preventDefault();
  attempt(byId('login'), async () => {
    await api('POST', 'login', { token: byId('token').value.trim() });
    byId('token').value = '';
    await start();
  });
};

document.addEventListener('visibilitychange', () => {
  if (document.hidden) return stopPicture();
  lastSeen = Date.now();
  if (events?.readyState === EventSource.OPEN) lookAgain();
});

onState((state) => {
  for (const part of document.querySelectorAll('.teaching')) part.hidden = !state.can_teach;
});

for (const link of document.querySelectorAll('nav a')) {
  link.onclick = () => { if (byId(link.hash.slice(1)).tagName === 'DETAILS') byId(link.hash.slice(1)).open = true; };
}

window.onhashchange = async () => { if (await loginByLink()) start(); };
setInterval(watchSilence, 1_000);
await loginByLink();
await start();
