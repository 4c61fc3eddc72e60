// The rows of the classes, and what is done with a class.

import { api } from './api.js';
import { ask, attempt, bar, button, byId, el, keep, named, say } from './elements.js';
import { counted, percent, quoted } from './words.js';
import { addEmpty, checkName, classes, dropEmpty, onState, refresh } from './state.js';
import { endHoldOf, teachButton } from './hold.js';
import { openPanel, reloadPanel } from './samples.js';

const FIND_FROM = 13;
const rows = byId('rows');
const rowOf = (name) => [...rows.children].find((row) => row.itemKey === name);

function makeRow({ name, samples }) {
  const row = el('li', { className: 'class' });
  row.percent = el('span', { className: 'percent' });
  row.bar = bar(0);
  row.append(el('div', { className: 'head' }, el('h3', { title: name }, named(name)), row.percent), row.bar);
  if (samples === null) return row; // a head without a store
  row.count = button('', () => togglePanel(row), { className: 'samples', 'aria-expanded': 'false' });
  row.teach = teachButton(row, name, (count) => showCount(row, count));
  row.panel = el('div', { className: 'panel', hidden: true });
  row.append(row.count, row.teach, row.panel);
  return row;
}

function showCount(row, samples) {
  if (!row.count || row.samples === samples) return;
  row.samples = samples;
  row.count.replaceChildren(counted(samples, 'sample'), el('span', { className: 'hidden' }, ` of ${row.itemKey}`));
}

function togglePanel(row) {
  row.panel.hidden = !row.panel.hidden;
  row.count.setAttribute('aria-expanded', String(!row.panel.hidden));
  if (row.panel.hidden) row.panel.replaceChildren();
  else openPanel(row.panel, row.itemKey, [button('Rename', () => rename(row)), button('Remove class', () => remove(row))]);
}

/** Nothing is seen any more. */
export function clearProbabilities() {
  for (const row of rows.children) {
    row.classList.remove('seen');
    row.percent.textContent = '';
    row.bar.style.setProperty('--share', 0);
  }
}

/** Called ten times a second: touches only what has changed. */
export function showProbabilities({ classes: seen, label, teaching }) {
  const shares = new Map(seen.map(({ name, probability }) => [name, probability]));
  for (const row of rows.children) {
    const share = shares.get(row.itemKey);
    const words = share === undefined ? '' : percent(share);
    row.classList.toggle('seen', row.itemKey === label);
    if (row.percent.textContent === words) continue;
    row.percent.textContent = words;
    row.bar.style.setProperty('--share', share ?? 0);
  }
  const taught = teaching && rowOf(teaching.class);
  if (taught) showCount(taught, teaching.samples);
}

function find() {
  const wanted = byId('find').value.trim().toLowerCase();
  for (const row of rows.children) row.hidden = !row.itemKey.toLowerCase().includes(wanted);
}

onState((state) => {
  const all = classes();
  endHoldOf((name) => !all.some((known) => known.name === name));
  keep(rows, all, ({ name }) => name, makeRow, (row, { samples }) => {
    showCount(row, samples);
    if (row.panel && !row.panel.hidden) reloadPanel(row.panel);
  });
  byId('find-line').hidden = all.length < FIND_FROM;
  if (all.length < FIND_FROM) byId('find').value = '';
  find();
  byId('undo').disabled = !state.undo;
  byId('undo').replaceChildren(...(state.undo ? ['Undo: ', named(state.undo)] : ['Nothing to undo']));
});

async function rename(row) {
  const name = row.itemKey;
  const wanted = (await ask('Rename this class', `${quoted(name)} is to be called:`, 'Rename', name))?.trim();
  if (wanted === undefined || wanted === name) return;
  const joins = classes().some((known) => known.name === wanted);
  if (joins && !row.samples) return dropEmpty(name); // there is nothing to join
  const both = `There is a class ${quoted(wanted)}. All samples of both will be in it. Undo takes it back.`;
  if (joins && !await ask('Make both one class?', both, 'Join them')) return;
  await attempt(row, async () => {
    checkName(wanted);
    if (row.samples) await api('PATCH', `classes/${encodeURIComponent(name)}`, { name: wanted });
    else addEmpty(wanted);
    dropEmpty(name);
    say(joins ? `${quoted(name)} is part of ${quoted(wanted)} now` : `${quoted(name)} is now called ${quoted(wanted)}`);
    await refresh();
    rowOf(wanted)?.count.focus();
  });
}

async function remove(row) {
  const { itemKey: name, samples } = row;
  const loss = samples ? `${counted(samples, 'sample')} will go with it. Undo brings everything back.` : 'It has no samples yet.';
  if (!await ask(`Remove ${quoted(name)}?`, loss, 'Remove')) return;
  await attempt(row, async () => {
    if (samples) await api('DELETE', `classes/${encodeURIComponent(name)}`);
    dropEmpty(name);
    say(`${quoted(name)} is removed`);
    await refresh();
    byId('undo').focus();
  });
}

byId('undo').onclick = () => attempt(byId('classes'), async () => {
  const undone = await api('POST', 'undo');
  say(`Taken back: ${undone.what} (${counted(undone.samples, 'sample')})`);
  await refresh();
});

byId('add-form').onsubmit = (event) => {
  event.preventDefault();
  attempt(byId('add-form'), async () => {
    const name = byId('new-name').value.trim();
    addEmpty(name);
    byId('new-name').value = '';
    say(`Class ${quoted(name)} added: show it to the camera and hold its button`);
    rowOf(name).teach.focus();
  });
};

byId('find').oninput = find;
