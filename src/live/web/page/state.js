// What the device last told about itself, and the classes that have no sample yet.

import { api, Failure, store, stored } from './api.js';

const EMPTY = 'topgraft.empty';
const listeners = [];
let state = null;
let empty = stored(EMPTY);
let order = [];
let waiting;

export const current = () => state;
/** `listener(state)` is called with each new state. */
export const onState = (listener) => listeners.push(listener);

export async function refresh() {
  state = await api('GET', 'state');
  const filled = new Set(state.classes.map(({ name }) => name));
  setEmpty(empty.filter((name) => !filled.has(name)));
}

/** Soon, and once for many changes: teaching makes several a second. */
export function refreshSoon() {
  waiting ??= setTimeout(() => {
    waiting = undefined;
    refresh().catch((error) => { if (!(error instanceof Failure)) throw error; }); // the banner says that it is lost
  }, 300);
}

function setEmpty(names) {
  empty = names;
  store(EMPTY, names);
  for (const listener of listeners) listener(state);
}

/** All classes, each where it was first seen: a row must not move away under the finger that teaches it. */
export function classes() {
  const samples = new Map(state.classes.map((known) => [known.name, known.samples]));
  if (state.can_teach) for (const name of empty) samples.set(name, 0);
  order = [...new Set([...order, ...samples.keys()])].filter((name) => samples.has(name));
  return order.map((name) => ({ name, samples: samples.get(name) }));
}

export function addEmpty(name) {
  checkName(name);
  if (classes().some((known) => known.name === name)) throw new Failure('there is a class of that name');
  setEmpty([...empty, name]);
}
export const dropEmpty = (name) => setEmpty(empty.filter((other) => other !== name));

/** What the device would say to this name, said before anything is sent. */
export function checkName(name) {
  const faults = [
    [name === '', 'the class needs a name'],
    [name === 'unknown', 'no class can be called “unknown”: it is what the page shows when nothing fits'],
    [name.trim() !== name || name.startsWith('.'), 'a name does not begin with a dot, and has no blank at either end'],
    [/[\p{Cc}/\\<>]/u.test(name), 'a name has none of / \\ < >'],
    [new TextEncoder().encode(name).length > 255, 'the name is too long'],
  ];
  const fault = faults.find(([isSo]) => isSo);
  if (fault) throw new Failure(fault[1]);
}
