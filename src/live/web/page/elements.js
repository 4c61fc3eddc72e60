// Elements of the page: made, kept, asked, and what went wrong said in them.

import { Failure } from './api.js';
import { sentence } from './words.js';

export const byId = (id) => document.getElementById(id);

/** An element. Strings among the children become text, never HTML: names of classes come from anybody. */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}
export const button = (words, onclick, more = {}) => el('button', { type: 'button', onclick, ...more }, ...[words].flat());
/** A name in its own direction of writing, as an element. */
export const named = (name) => el('bdi', {}, name);
export function bar(share) {
  const node = el('div', { className: 'bar', 'aria-hidden': 'true' }); // the number is beside it
  node.style.setProperty('--share', share);
  return node;
}

/** Does `work`; what goes wrong is said in `place`, for a while. */
export async function attempt(place, work) {
  place.querySelector(':scope > .error')?.remove();
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const slot = el('p', { className: 'error', role: 'alert' }, sentence(error.message));
    place.append(slot);
    setTimeout(() => slot.remove(), 15_000);
    return undefined;
  }
}

let silence;
/** Says what was done, to the eye and to a screen reader, and takes it away again. */
export function say(words) {
  byId('said').textContent = words;
  clearTimeout(silence);
  silence = setTimeout(() => { byId('said').textContent = ''; }, 5_000);
}

/** Asks; gives what was written into the field (true without one), or null. */
export function ask(title, text, yes, value) {
  const [dialog, field] = [byId('ask'), byId('ask-field')];
  for (const [id, words] of [['ask-title', title], ['ask-text', text], ['ask-yes', yes]]) byId(id).textContent = words;
  byId('ask-line').hidden = value === undefined;
  field.value = value ?? '';
  dialog.returnValue = '';
  dialog.showModal();
  field.select();
  const answer = () => (dialog.returnValue === 'yes' ? value === undefined || field.value : null);
  return new Promise((resolve) => { dialog.onclose = () => resolve(answer()); });
}

/** Makes the children of `parent` those of `items`, and leaves alone what stays: a button may be under a finger. */
export function keep(parent, items, keyOf, make, update = () => {}) {
  const wanted = new Set(items.map(keyOf));
  const there = new Map([...parent.children].map((child) => [child.itemKey, child]));
  for (const [key, node] of there) if (!wanted.has(key)) takeOut(node);
  let place = parent.firstElementChild;
  for (const item of items) {
    const node = there.get(keyOf(item)) ?? Object.assign(make(item), { itemKey: keyOf(item) });
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
    update(node, item);
  }
}

/** The focus goes on to the neighbour, or whoever uses the keyboard starts at the top again. */
export function takeOut(node) {
  const neighbour = node.nextElementSibling ?? node.previousElementSibling;
  const hadFocus = node.contains(document.activeElement);
  node.remove();
  if (hadFocus) neighbour?.querySelector('button')?.focus();
}
