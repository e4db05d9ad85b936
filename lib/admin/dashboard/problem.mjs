import { useEffect, useRef } from 'preact/hooks';
import { html } from './html.mjs';

const WORDS = {
  NETWORK: 'The server cannot be reached. Nothing has been changed; check your connection.',
  LOGGED_OUT: 'Your login has ended. Log in again to go on.',
  NOT_UNDERSTOOD: 'Something else than the dashboard’s server answered. If your login has ended, log in again.',
  STORE_UNAVAILABLE:
    'The store that holds the keys is down. The guard goes on with what it knows; nothing can be changed now.',
  KEY_UNKNOWN: 'There is no such key. Somebody may have deleted it.',
  SECRET_UNKNOWN: 'There is no such secret any more. Somebody may have revoked it.',
  STALE_VERSION: 'Somebody else changed this key in the meantime. Look at what it is now, then try again.',
  CROSS_ORIGIN: 'The server took this for a request of another website and refused it. Reload the page.',
  INTERNAL: 'The server failed. Its log says why.',
};
const LOGIN = ['LOGGED_OUT', 'NOT_UNDERSTOOD'];

/** An error in words that a user of the page can act on. */
export function inWords(error) {
  return WORDS[error.code] ?? (error.message || WORDS.INTERNAL);
}

/**
 * Says what went wrong and takes the focus, so that it is not missed.
 * @param {{ error?: Error, retry?: () => void, id?: string }} props
 */
export function Problem({ error, retry, id }) {
  const box = useRef();
  useEffect(() => {
    if (error) box.current.focus();
  }, [error]);
  if (!error) return null;
  return html`
    <div class="problem" role="alert" tabindex="-1" ref=${box} id=${id}>
      <p>${inWords(error)}</p>
      ${
        LOGIN.includes(error.code) &&
        html`<button type="button" class="quiet" onClick=${() => location.reload()}>Log in again</button>`
      }
      ${
        retry &&
        !LOGIN.includes(error.code) &&
        html`<button type="button" class="quiet" onClick=${retry}>Try again</button>`
      }
    </div>
  `;
}
