// Photos: the samples of a class, one of them large, those that are sent from here, and 'what is this?'.

import { api, Failure } from './api.js';
import { attempt, bar, button, byId, el, keep, named, say, takeOut } from './elements.js';
import { counted, percent, sentence, size, when } from './words.js';
import { classes } from './state.js';

const PAGE = 60;
const BUTTONS = 8; // more classes than that are a list to choose from
const MOST_BYTES = 20 * 2 ** 20;
const PHOTOS = 'image/jpeg,image/png,image/webp,image/gif,image/bmp'; // one by one: an iPhone then converts its HEIC

/** The samples of a class, below its row. */
export function openPanel(panel, name, tools) {
  const input = el('input', { type: 'file', accept: PHOTOS, multiple: true });
  onFiles(input, (files) => sendPhotos(panel, files));
  Object.assign(panel, { name, shown: PAGE, sent: el('div'), gallery: el('ul', { className: 'plain gallery' }) });
  panel.more = button('More', () => { panel.shown += PAGE; reloadPanel(panel); }, { hidden: true });
  const line = el('div', { className: 'line' }, el('label', { className: 'button' }, 'Add photos', input), ...tools);
  panel.replaceChildren(line, panel.sent, panel.gallery, panel.more);
  reloadPanel(panel);
}

export const reloadPanel = (panel) => attempt(panel, async () => {
  const query = new URLSearchParams({ class: panel.name, limit: panel.shown });
  const { samples, more } = await api('GET', `samples?${query}`);
  keep(panel.gallery, samples, ({ id }) => id, tile);
  panel.more.hidden = !more;
});

function tile(sample) {
  const item = el('li');
  const open = () => showPhoto(sample, item);
  item.append(thumbnail(sample, open), el('div', { className: 'acts' },
    button('Move', open, { 'aria-label': `Move sample ${sample.id} to another class` }),
    button('✕', () => removeSample(sample, item), { 'aria-label': `Delete sample ${sample.id}` })));
  return item;
}

export const thumbnail = ({ id, class: name }, onclick) => button(
  el('img', { src: `api/samples/${id}/thumbnail`, loading: 'lazy', alt: name ? `Sample ${id} of ${name}` : `Sample ${id}` }),
  onclick, { className: 'thumbnail' });

/** Changes something that `item` shows, which then goes. */
export const settle = (item, method, path, body, words) => attempt(item, async () => {
  await api(method, path, body);
  say(words);
  takeOut(item);
});
export const removeSample = ({ id }, item) =>
  settle(item, 'DELETE', `samples/${id}`, undefined, `Sample ${id} is deleted; undo brings it back`);
export const moveSample = ({ id }, name, item) =>
  settle(item, 'PATCH', `samples/${id}`, { class: name }, `Sample ${id} is now ${name}`);

/** One button for each class, or a list where they are too many. */
export function chooser(words, except, pick, guess) {
  const names = classes().map(({ name }) => name).filter((name) => name !== except);
  if (names.length <= BUTTONS) return names.map((name) => button([words, named(name)], () => pick(name)));
  const options = names.map((name) => el('option', { value: name, selected: name === guess }, name));
  const list = el('select', { 'aria-label': `${words}class` }, ...options);
  return [list, button(words || 'OK', () => pick(list.value))];
}

export function showPhoto(sample, item) {
  const closing = (work) => (name) => { byId('photo').close(); work(name); };
  byId('photo-title').replaceChildren(sample.class ? named(sample.class) : `Sample ${sample.id}`);
  byId('photo-image').src = `api/samples/${sample.id}/photo`;
  byId('photo-image').alt = `Sample ${sample.id}`;
  const facts = [`sample ${sample.id}`, sample.source, sample.time && when(sample.time), sample.bytes && size(sample.bytes)];
  byId('photo-text').textContent = facts.filter(Boolean).join(' · ');
  byId('photo-acts').replaceChildren(...chooser('Move to ', sample.class, closing((name) => moveSample(sample, name, item))),
    button('Delete', closing(() => removeSample(sample, item))));
  byId('photo').showModal();
}
byId('photo').onclose = () => { byId('photo-image').src = ''; };
byId('photo').onclick = ({ target }) => { if (target === byId('photo')) byId('photo').close(); }; // beside it
byId('photo-close').onclick = () => byId('photo').close();

/** The input is emptied, so that the same file can be chosen again. */
function onFiles(input, use) {
  input.onchange = () => {
    const files = [...input.files];
    input.value = '';
    if (files.length) use(files);
  };
}

async function sendPhotos(panel, files) {
  const progress = el('progress', { max: files.length, value: 0, 'aria-label': 'Photos sent' });
  const [line, faults] = [el('p', { role: 'status' }), el('ul', { className: 'faults' })];
  panel.sent.replaceChildren(line, progress, faults);
  for (const file of files) {
    line.textContent = `Sending ${progress.value + 1} of ${files.length} …`;
    try {
      if (file.size > MOST_BYTES) throw new Failure('it has more than 20 MB');
      await api('POST', `samples?${new URLSearchParams({ class: panel.name })}`, file);
    } catch (error) {
      faults.append(el('li', {}, named(file.name), `: ${sentence(error.message)}`));
    }
    progress.value += 1;
  }
  line.textContent = `${counted(files.length - faults.children.length, 'photo')} of ${files.length} taught.`;
  progress.remove();
}

onFiles(byId('import'), async ([file]) => {
  const line = el('p', { role: 'status' }, `Sending ${size(file.size)} and looking at each photo …`);
  byId('imported').replaceChildren(line, el('progress', { 'aria-label': 'Import' }));
  const zip = new Blob([file], { type: 'application/zip' }); // Windows has another name for it
  const found = await attempt(byId('imports'), () => api('POST', 'import', zip));
  byId('imported').replaceChildren();
  if (!found) return;
  line.textContent = `${counted(found.new, 'photo')} new, ${found.known} known already, ${found.moved} moved to another class.`;
  byId('imported').append(line, el('ul', { className: 'faults' }, ...found.skipped.map((skipped) => el('li', {}, skipped))));
});

onFiles(byId('classify'), async ([file]) => {
  const image = el('img', { src: URL.createObjectURL(file), alt: 'Your photo', onload: () => URL.revokeObjectURL(image.src) });
  const answer = el('div', {}, el('p', {}, 'Looking …'));
  byId('classified').replaceChildren(el('div', { className: 'classified' }, image, answer));
  const seen = await attempt(answer, () => api('POST', 'classify', file));
  if (!seen) return answer.firstElementChild.remove();
  const likely = seen.classes.sort((a, b) => b.probability - a.probability).slice(0, 5);
  const line = ({ name, probability }) =>
    el('li', {}, named(name), el('span', { className: 'percent' }, percent(probability)), bar(probability));
  const shares = el('ul', { className: 'plain shares' }, ...likely.map(line));
  answer.replaceChildren(el('p', { className: 'answer' }, named(seen.label)), shares);
});
