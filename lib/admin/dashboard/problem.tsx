import { useEffect, useRef } from 'preact/hooks';
import { ApiError } from './api';

const FAILED = 'The server failed. Its log says why.';
const WORDS: Readonly<Record<string, string>> = {
  NETWORK: 'The server cannot be reached. Nothing has been changed; check your connection.',
  LOGGED_OUT: 'Your login has ended. Log in again to go on.',
  NOT_UNDERSTOOD: 'Something else than the dashboard’s server answered. If your login has ended, log in again.',
  STORE_UNAVAILABLE:
    'The store that holds the keys is down. The guard goes on with what it knows; nothing can be changed now.',
  KEY_UNKNOWN: 'There is no such key. Somebody may have deleted it.',
  SECRET_UNKNOWN: 'There is no such secret any more. Somebody may have revoked it.',
  STALE_VERSION: 'Somebody else changed this key in the meantime. Look at what it is now, then try again.',
  CROSS_ORIGIN: 'The server took this for a request of another website and refused it. Reload the page.',
  INTERNAL: FAILED,
};
const LOGIN = ['LOGGED_OUT', 'NOT_UNDERSTOOD'];

export function codeOf(error: unknown): string {
  return error instanceof ApiError ? error.code : '';
}

/** An error in words that a user of the page can act on. */
export function inWords(error: unknown): string {
  const words = WORDS[codeOf(error)];
  if (words !== undefined) return words;
  return error instanceof Error && error.message !== '' ? error.message : FAILED;
}

interface ProblemProps {
  readonly error: Error | undefined;
  readonly retry?: (() => void) | undefined;
}

/** Says what went wrong and takes the focus, so that it is not missed. */
export function Problem({ error, retry }: ProblemProps) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (error) box.current?.focus();
  }, [error]);
  if (!error) return null;
  const needsLogin = LOGIN.includes(codeOf(error));
  return (
    <div class="problem" role="alert" tabindex={-1} ref={box}>
      <p>{inWords(error)}</p>
      {needsLogin && (
        <button type="button" class="quiet" onClick={() => location.reload()}>
          Log in again
        </button>
      )}
      {retry && !needsLogin && (
        <button type="button" class="quiet" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}
