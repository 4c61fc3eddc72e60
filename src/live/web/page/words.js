// Names, numbers and sentences as people read them.

/** A name in its own direction of writing, within a text. */
export const quoted = (name) => `“\u2068${name}\u2069”`;
export const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)}\u00a0%`;
export const counted = (count, one) => `${count.toLocaleString('en')} ${one}${count === 1 ? '' : 's'}`;
export const when = (time) => new Date(1000 * time).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
export const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} KB` : `${(bytes / 1e6).toFixed(1)} MB`);
/** The API writes `name` and begins small. */
export function sentence(words) {
  const text = words.replace(/`([^`]*)`/g, (_, name) => quoted(name));
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.');
}
