// The button that teaches while it is held. A hold must never go on after the finger is gone.

import { api } from './api.js';
import { attempt, button, el, say } from './elements.js';
import { counted, quoted } from './words.js';

const TAP_MS = 250; // shorter is a tap: one frame
const RENEW_MS = 700; // the device ends a hold that is not renewed for two seconds
const HOLDER = crypto.getRandomValues(new Uint32Array(2)).join('-'); // this page: another one's end is not ours
let held = null;
let sending = Promise.resolve();
let isSending = false;

/** Presses, holds and clicks of this button teach `name`; `onCount` is told the samples it then has. */
export function teachButton(row, name, onCount) {
  const teach = button(['Hold to teach', el('span', { className: 'hidden' }, ` ${name}`)], null, { className: 'teach strong' });
  const isKey = ({ key }) => key === ' ' || key === 'Enter';
  const one = () => teachOne(row, name, onCount);
  const press = (by) => { if (!held) begin({ row, name, by, teach, one }); };
  const release = (by, isTap) => { if (held?.teach === teach && held.by === by) releaseHold(isTap); };
  teach.onpointerdown = ({ button: which, pointerId }) => {
    if (which !== 0) return;
    // A finger is captured by what it touches first, and would never be seen to leave it.
    if (teach.hasPointerCapture(pointerId)) teach.releasePointerCapture(pointerId);
    press(pointerId);
  };
  teach.onpointerup = ({ pointerId }) => release(pointerId, true);
  teach.onpointerleave = teach.onpointercancel = ({ pointerId }) => release(pointerId, false);
  teach.onkeydown = (event) => {
    if (!isKey(event)) return;
    event.preventDefault(); // no click, which would teach one more
    if (!event.repeat) press('key');
  };
  teach.onkeyup = (event) => {
    if (!isKey(event)) return;
    event.preventDefault();
    release('key', true);
  };
  teach.onblur = () => { if (held?.teach === teach) releaseHold(); };
  teach.onclick = ({ detail }) => { if (detail === 0) one(); }; // neither pointer nor key: a screen reader
  teach.oncontextmenu = (event) => event.preventDefault(); // what a long touch opens
  return teach;
}

const teachOne = (row, name, onCount) => attempt(row, async () => {
  const { taught, samples } = await api('POST', 'teach', { class: name });
  const words = taught === 'known' ? 'this picture was known already' : `one frame taught, ${counted(samples, 'sample')}`;
  say(`${quoted(name)}: ${words}`);
  onCount(samples);
});

function begin(hold) {
  held = hold;
  hold.teach.classList.add('held');
  hold.timer = setTimeout(() => {
    hold.hasBegun = true;
    hold.timer = setInterval(() => { if (!isSending) send(hold, true); }, RENEW_MS);
    send(hold);
  }, TAP_MS);
}

/** Ends the hold, whoever asks for it; a tap that ends as it should teaches one frame. */
export function releaseHold(isTap = false) {
  if (!held) return;
  const { teach, timer, hasBegun, one } = held;
  held = null;
  clearTimeout(timer);
  clearInterval(timer);
  teach.classList.remove('held');
  if (hasBegun) send(null);
  else if (isTap) one();
}
export const endHoldOf = (isGone) => { if (held && isGone(held.name)) releaseHold(); };

/** One after the other, so that the end of a hold never arrives before what it ends. */
function send(hold, renews = false) {
  sending = sending.then(async () => {
    if (hold && hold !== held) return; // released while it waited
    isSending = true;
    const limits = hold ? { signal: AbortSignal.timeout(2_000) } : { keepalive: true };
    const body = { class: hold?.name ?? null, holder: HOLDER, renews };
    const call = () => api('PUT', 'hold', body, limits).then(() => true);
    try {
      const isSent = hold ? await attempt(hold.row, call) : await call().catch(() => true); // ends by itself
      if (!isSent && hold === held) releaseHold();
    } finally {
      isSending = false;
    }
  }).catch(console.error); // or no end would ever be sent again
}

for (const gone of ['blur', 'pagehide']) window.addEventListener(gone, () => releaseHold());
document.addEventListener('visibilitychange', () => releaseHold());
