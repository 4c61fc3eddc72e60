// Calls of the API, and what the browser remembers.

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
