// The versions of the head, downloads, and what the device had to say.

import { api } from './api.js';
import { ask, attempt, button, byId, el, keep, say } from './elements.js';
import { counted, sentence, size, when } from './words.js';
import { current, onState, refresh } from './state.js';

const MOST_NOTES = 20;

const reloadHeads = () => attempt(byId('heads'), async () => {
  const { heads } = await api('GET', 'heads');
  keep(byId('versions'), heads, ({ version }) => version, headLine);
});

function headLine({ version, time, samples, bytes, has_samples: canRollBack }) {
  const facts = `${counted(samples, 'sample')} · ${size(bytes)} · ${when(time)}`;
  const line = el('li', {}, el('div', {}, el('strong', {}, `Head ${version}`), el('p', { className: 'note' }, facts)));
  const file = { href: `api/heads/${version}/file`, download: `head-${version}.graft`, onclick: download };
  line.append(el('a', { className: 'button', ...file, 'aria-label': `Download head ${version}` }, 'Download'));
  const rollBack = () => attempt(line, async () => {
    const text = `The samples become the ${samples} that it knew; what was taught since is taken away.`;
    if (!await ask(`Roll back to head ${version}?`, text, 'Roll back')) return;
    const now = await api('POST', `heads/${version}/roll-back`);
    say(`Rolled back to head ${version}: ${counted(now.samples, 'sample')}`);
    await refresh();
  });
  if (canRollBack) line.append(button('Roll back', rollBack, { 'aria-label': `Roll back to head ${version}` }));
  return line;
}

/** Fetched first, as the device may have a reason to give instead of a file. */
function download(event) {
  event.preventDefault();
  const link = event.currentTarget;
  attempt(link.parentElement, async () => {
    const file = await api('GET', link.getAttribute('href').replace('api/', ''), undefined, { isDownload: true });
    const href = URL.createObjectURL(file);
    el('a', { href, download: link.download || link.pathname.split('/').pop() }).click();
    setTimeout(() => URL.revokeObjectURL(href), 60_000);
  });
}

for (const link of document.querySelectorAll('#downloads a:not(#store-file)')) link.onclick = download; // it is too large
byId('heads').ontoggle = () => { if (byId('heads').open && current().store) reloadHeads(); };

export function clearNotes() {
  byId('noted').replaceChildren();
  byId('no-notes').hidden = false;
  byId('notes-count').textContent = 0;
}

export function addNote({ time, text }) {
  byId('no-notes').hidden = true;
  byId('noted').prepend(el('li', {}, el('span', { className: 'note' }, when(time)), sentence(text)));
  while (byId('noted').children.length > MOST_NOTES) byId('noted').lastElementChild.remove();
  byId('notes-count').textContent = byId('noted').children.length;
}

onState(({ store, version, backbone, cut, feature_dim: features }) => {
  const filled = store ? [counted(store.samples, 'sample'), `room for ${store.most_samples.toLocaleString('en')}`,
    `${size(store.bytes)} of ${size(store.most_bytes)}`, `${store.removed} removed that can come back`] : [];
  const trunk = `${backbone}, cut ${cut}, ${counted(features, 'feature')}`;
  byId('about').textContent = [...filled, trunk, `Topgraft ${version}`].join(' · ');
  if (byId('heads').open && store) reloadHeads();
});
