// What every part of the page needs: elements, calls of the API, words for people.

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
/** A name in its own direction of writing, whatever is around it: as an element, and within a text. */
export const named = (name) => el('bdi', {}, name);
export const quoted = (name) => `“\u2068${name}\u2069”`;
export function bar(share) {
  const node = el('div', { className: 'bar', 'aria-hidden': 'true' }); // the number is beside it
  node.style.setProperty('--share', share);
  return node;
}

export const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)}\u00a0%`;
export const counted = (count, one) => `${count.toLocaleString('en')} ${one}${count === 1 ? '' : 's'}`;
export const when = (time) => new Date(1000 * time).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
export const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} KB` : `${(bytes / 1e6).toFixed(1)} MB`);
/** The API writes `name` and begins small. */
export function sentence(words) {
  const text = words.replace(/`([^`]*)`/g, (_, name) => quoted(name));
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.');
}

export function stored(key) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? [];
  } catch {
    return []; // no storage, or not ours
  }
}
export function store(key, list) {
  try {
    localStorage.setItem(key, JSON.stringify(list));
  } catch { /* full, or none: it is a convenience */ }
}

/** Something the user is to be told, not a fault of this page. */
export class Failure extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

export async function api(method, path, body, { isDownload = false, ...options } = {}) {
  const isJson = body !== undefined && !(body instanceof Blob);
  const headers = isJson ? { 'content-type': 'application/json' } : {};
  let answer, value;
  try {
    answer = await fetch(`api/${path}`, { method, headers, body: isJson ? JSON.stringify(body) : body, ...options });
    value = await (isDownload && answer.ok ? answer.blob() : answer.json());
  } catch {
    if (!answer) throw new Failure('the device does not answer');
    value = null; // 204, or a page of something between
    if (answer.ok && answer.status !== 204) throw new Failure('the answer of the device was cut off');
  }
  if (answer.status === 401) document.dispatchEvent(new Event('unauthorized'));
  if (!answer.ok) throw new Failure(value?.error ?? `the device answered with error ${answer.status}`, answer.status);
  return value;
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
