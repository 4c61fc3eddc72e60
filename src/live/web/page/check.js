// How good the head is, which samples look wrong, and the frames that wait for a label.

import { api, Failure, store, stored } from './api.js';
import { attempt, bar, button, byId, el, keep, named, say, takeOut } from './elements.js';
import { percent, sentence } from './words.js';
import { classes, onState } from './state.js';
import { chooser, moveSample, removeSample, settle, showPhoto, thumbnail } from './samples.js';

const RIGHT = 'topgraft.right';
const FRAMES = 24;
let reviewed = null;
let shownFrames = FRAMES;

function showMeasured({ measured, unmeasured, store: kept }) {
  const reason = kept?.samples ? 'Measuring …' : 'Nothing to measure yet.';
  const words = unmeasured ? `Not measured yet. ${sentence(unmeasured)}` : reason;
  const missing = el('p', { className: unmeasured ? 'tip' : 'note' }, words);
  byId('measured').replaceChildren(...(measured ? figures(measured) : [missing]));
}

function figures({ version, correct, samples, accuracy, low, high, majority, classes }) {
  const figure = (name, value, note) =>
    el('div', {}, el('dt', {}, name), el('dd', { className: 'number' }, value), el('dd', {}, note));
  const list = el('dl', { className: 'figures' },
    figure('Right on left-out samples', percent(accuracy, 1), `${correct} of ${samples}`),
    figure('95 % interval', `${(100 * low).toFixed()} – ${percent(high)}`, 'more samples make it narrower'),
    figure('Always the largest class', percent(majority / samples, 1), 'what it has to beat'));
  const lines = classes.map(({ name, right, samples: all }) => el('tr', {},
    el('th', { scope: 'row' }, named(name)), el('td', {}, `${right} of ${all}`), el('td', {}, bar(right / all))));
  const head = el('tr', {}, el('th', { scope: 'col' }, 'Class'), el('th', { scope: 'col', colSpan: 2 }, 'Right'));
  const note = `Head ${version}, each sample judged by a head that was fitted without it.`;
  return [list, el('table', {}, el('thead', {}, head), el('tbody', {}, ...lines)), el('p', { className: 'note' }, note)];
}

byId('review-start').onclick = async () => {
  const found = byId('review-found');
  byId('review-start').disabled = true;
  found.replaceChildren(el('p', { className: 'tip' }, 'Looking at all samples. This takes some seconds …'));
  reviewed = await attempt(byId('review'), () => api('GET', 'review'));
  found.replaceChildren(...(reviewed ? findings(reviewed) : []));
  if (reviewed) say('The samples are checked');
  byId('review-start').disabled = false;
};

function findings({ suspects, duplicates, confusions, advice }) {
  const doubtful = suspects.filter((suspect) => !stored(RIGHT).includes(keyOf(suspect)));
  const parts = [el('p', { className: 'tip', id: 'review-old', hidden: true }, 'The samples have changed since. Check again.')];
  const part = (title, className, items) => {
    if (items.length) parts.push(el('h3', {}, title), el('ul', { className }, ...items));
  };
  if (advice) parts.push(el('p', { className: 'tip' }, sentence(advice)));
  part('In the wrong class?', 'plain gallery wide', doubtful.map(suspectTile));
  part('Nearly the same', 'plain gallery wide', duplicates.map(duplicateTile));
  part('Taken for one another', '', confusions.map(({ class: name, predicted, samples, of }) =>
    el('li', {}, named(name), ' taken for ', named(predicted), `: ${samples} of ${of}`)));
  return parts.length > 1 ? parts : [...parts, el('p', {}, 'Nothing to complain about.')];
}

/** It stays right until it is called something else. */
const keyOf = (suspect) => `${suspect.id} ${suspect.class}`;

function suspectTile(suspect) {
  const item = el('li');
  const isRight = () => { store(RIGHT, [...stored(RIGHT), keyOf(suspect)].slice(-500)); takeOut(item); };
  const share = ` (${percent(suspect.probability)})`;
  item.append(thumbnail(suspect, () => showPhoto(suspect, item)),
    el('p', {}, 'Taught as ', named(suspect.class), ', looks like ', named(suspect.predicted), share),
    el('div', { className: 'line' },
      button(['Move to ', named(suspect.predicted)], () => move(suspect, item)),
      button('Remove', () => removeSample(suspect, item)), button('It is right', isRight)));
  return item;
}

/** Not to a class that has another name since: that would make it anew. */
const move = (suspect, item) => attempt(item, () => {
  if (!classes().some(({ name }) => name === suspect.predicted)) throw new Failure('there is no such class any more; check again');
  return moveSample(suspect, suspect.predicted, item);
});

function duplicateTile(ids) {
  return el('li', { className: 'same' }, ...ids.map((id) => {
    const [one, sample] = [el('div'), { id, class: null }];
    const remove = button('Remove', () => removeSample(sample, one), { 'aria-label': `Remove sample ${id}` });
    one.append(thumbnail(sample, () => showPhoto(sample, one)), remove);
    return one;
  }));
}

const reloadFrames = () => attempt(byId('pending'), async () => {
  const { frames } = await api('GET', 'pending');
  byId('pending-count').textContent = frames.length;
  keep(byId('frames'), frames.slice(0, shownFrames), ({ id }) => id, frameTile, (item) => item.offer());
  byId('more-frames').hidden = frames.length <= shownFrames;
});

function frameTile({ id, guess, probability }) {
  const item = el('li');
  const label = (name) => settle(item, 'PATCH', `pending/${id}`, { class: name }, `Frame ${id} is ${name}`);
  const drop = () => settle(item, 'DELETE', `pending/${id}`, undefined, `Frame ${id} is dropped`);
  const line = el('div', { className: 'line' });
  let offered;
  /** The classes as they are now: one may have another name since. */
  item.offer = () => {
    const names = JSON.stringify(classes().map(({ name }) => name));
    if (names === offered) return;
    offered = names;
    line.replaceChildren(...chooser('', null, label, guess), button('Drop', drop));
  };
  item.append(el('img', { src: `api/pending/${id}/photo`, loading: 'lazy', alt: `Frame ${id}` }),
    el('p', {}, 'Perhaps ', named(guess), ` (${percent(probability)})`), line);
  return item;
}

byId('more-frames').onclick = () => { shownFrames += FRAMES; reloadFrames(); };
byId('pending').ontoggle = () => { if (byId('pending').open) reloadFrames(); };

onState((state) => {
  showMeasured(state);
  byId('pending-count').textContent = state.store?.pending ?? 0;
  if (byId('pending').open && state.store) reloadFrames();
  if (byId('review-old')) byId('review-old').hidden = reviewed?.revision === state.revision;
});
