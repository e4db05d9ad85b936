/** What the server, or the way there, answered instead of what was asked for. */
export class ApiError extends Error {
  /**
   * @param {string} code as in the API's errors; `NETWORK`, `LOGGED_OUT` and `NOT_UNDERSTOOD` are this page's own
   * @param {string} message
   * @param {object} [current] the key as it is now, of a `STALE_VERSION`
   */
  constructor(code, message, current) {
    super(message);
    this.code = code;
    this.current = current;
  }
}

async function send(method, path, body, signal) {
  const response = await fetchFrom(path, {
    method,
    signal,
    cache: 'no-store',
    headers: { Accept: 'application/json', ...(body && { 'Content-Type': 'application/json' }) },
    body: body && JSON.stringify(body),
  });
  if (response.status === 401) throw new ApiError('LOGGED_OUT', '');
  if (response.status === 204) return undefined;
  const answer = await response.json().catch(() => undefined);
  // A login page instead of an answer, for one.
  if (typeof answer !== 'object' || answer === null) throw new ApiError('NOT_UNDERSTOOD', '');
  if (response.ok) return answer;
  const { code = 'INTERNAL', message = '', current } = answer.error ?? {};
  throw new ApiError(code, message, current);
}

async function fetchFrom(path, init) {
  try {
    return await fetch(`api/${path}`, init);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError('NETWORK', '');
  }
}

function query(members) {
  const given = Object.entries(members).filter(([, value]) => value !== undefined && value !== '');
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}

const keyPath = (apiKey) => `keys/${encodeURIComponent(apiKey)}`;
const secretPath = (apiKey, id) => `${keyPath(apiKey)}/secrets/${encodeURIComponent(id)}`;

/** The JSON API beside this page, one function a route. Each rejects with an `ApiError`. */
export const api = {
  meta: () => send('GET', 'meta'),
  listKeys: (filter, signal) => send('GET', `keys${query(filter)}`, undefined, signal),
  createKey: (key) => send('POST', 'keys', key),
  getKey: (apiKey, signal) => send('GET', keyPath(apiKey), undefined, signal),
  updateKey: (apiKey, changes) => send('PATCH', keyPath(apiKey), changes),
  deleteKey: (apiKey, version) => send('DELETE', `${keyPath(apiKey)}${query({ version })}`),
  addSecret: (apiKey, secret) => send('POST', `${keyPath(apiKey)}/secrets`, secret),
  rotateSecret: (apiKey, id, how) => send('POST', `${secretPath(apiKey, id)}/rotate`, how),
  revokeSecret: (apiKey, id) => send('DELETE', secretPath(apiKey, id)),
  addEntries: (apiKey, type, entries) => send('POST', `${keyPath(apiKey)}/allowlists/${type}`, { entries }),
  removeEntry: (apiKey, type, entry) => send('DELETE', `${keyPath(apiKey)}/allowlists/${type}${query({ entry })}`),
  checkEntries: (type, entries, samples, signal) =>
    send('POST', `allowlists/${type}/check`, { entries, samples }, signal),
  testRequest: (apiKey, request) => send('POST', `${keyPath(apiKey)}/test`, request),
};
