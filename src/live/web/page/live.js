// The live picture, the label over it, and the line of details.

import { byId, named } from './elements.js';
import { percent } from './words.js';
import { classes, current, onState } from './state.js';
import { clearProbabilities, showProbabilities } from './teach.js';

const SPOKEN_MS = 5_000; // a screen reader is told of a label that stays, not of each one that passes
const FRAMES_BEFORE_STREAM = 20;
const FEW = 5; // the bars of more classes than that are not all in sight
const STEPS = ['Give a name to the first thing, show it to the camera, and hold the button while you turn it.',
  'Now a second class, so that there is something to tell apart: another thing, or just the empty table.'];
const FIXED = 'This head stays as it is: the device was started without a store, so there is nothing to teach.';
const picture = byId('picture');
let isShown = false;
let frames = 0;
let timer;
let spoken = { words: '', time: 0 };
let trouble = '';

/** What happened to the camera last, for when there is no picture. */
export function cameraSaid(text) {
  trouble = text;
}

export function startPicture() {
  clearTimeout(timer);
  isShown = true;
  frames = 0;
  picture.src = `api/stream?${Date.now()}`; // another address, or the broken connection's picture is shown again
}

export function stopPicture() {
  clearTimeout(timer);
  isShown = false;
  picture.src = '';
}

/** Where too many watch the stream: single frames, once a second, and now and then the stream again. */
function nextFrame() {
  if (frames === FRAMES_BEFORE_STREAM) return startPicture();
  frames += 1;
  picture.src = `api/frame.jpg?${Date.now()}`;
}

function frameSoon() {
  clearTimeout(timer);
  timer = setTimeout(nextFrame, 1_000);
}

picture.onload = () => {
  byId('no-picture').hidden = true;
  if (isShown && frames > 0) frameSoon();
};
picture.onerror = () => {
  if (!isShown) return;
  byId('no-picture').hidden = frames === 0; // neither stream nor frame
  frameSoon();
};

export function showSeen(seen) {
  trouble = '';
  byId('drift').hidden = !seen.drift;
  byId('teaching').hidden = !seen.teaching;
  if (seen.teaching) byId('teaching').replaceChildren('Teaching ', named(seen.teaching.class), ` · ${seen.teaching.samples}`);
  showLabel(seen);
  showProbabilities(seen);
  const times = `${seen.fps.toFixed(1)} fps · trunk ${seen.trunk_ms.toFixed()} ms · head ${seen.head_ms.toFixed(1)} ms`;
  byId('details').textContent = `${times} · frame ${seen.frame} · ${seen.dropped} dropped`;
  showStatus('live', current().camera);
  speak(seen);
}

function showLabel({ label, classes: seen }) {
  byId('verdict').dataset.kind = label === 'unknown' ? 'unknown' : label ? 'known' : 'none';
  byId('label').firstElementChild.textContent = label ?? (seen.length ? '…' : 'nothing taught yet');
  const known = seen.find(({ name }) => name === label);
  const others = seen.filter((other) => other !== known).sort((a, b) => b.probability - a.probability);
  const words = known ? [percent(known.probability)] : label ? ['like none of the classes'] : [];
  const next = seen.length > FEW ? others.slice(0, 2) : [];
  for (const { name, probability } of next) words.push(words.length ? ' · ' : '', named(name), ` ${percent(probability)}`);
  byId('runners-up').replaceChildren(...words);
}

export function showStatus(is, words) {
  byId('status').dataset.is = is;
  byId('status').textContent = words;
  if (is === 'live') return;
  byId('teaching').hidden = true;
  byId('verdict').dataset.kind = 'none'; // what was seen last is not what is there now
  byId('label').firstElementChild.textContent = words;
  byId('runners-up').textContent = trouble;
  byId('details').textContent = '';
  clearProbabilities();
}

function speak({ label, drift }) {
  const words = `${label ?? ''}${drift ? ', drift' : ''}`;
  if (!words || words === spoken.words || Date.now() - spoken.time < SPOKEN_MS) return;
  spoken = { words, time: Date.now() };
  byId('spoken').textContent = `Seen: ${words}`;
}

onState((state) => {
  const some = classes().filter(({ samples }) => samples !== 0).length;
  byId('first-steps').hidden = state.can_teach && some >= STEPS.length;
  byId('first-steps').textContent = state.can_teach ? STEPS[some] ?? '' : FIXED;
});
