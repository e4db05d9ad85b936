import { randomBytes } from 'node:crypto';

/** The format of an API key, in settings and in the raw path. */
export const API_KEY = /^[A-Za-z0-9_-]{8,128}$/;
/** No key is shorter. */
export const MIN_KEY_LENGTH = 8;

/** A fresh API key: 32 lower-case hex digits from 16 random bytes. */
export function generateApiKey(): string {
  return randomBytes(16).toString('hex');
}

/** The part of a key that may be logged: its first characters, never more than half of it. */
export function keyHint(apiKey: string): string {
  return `${apiKey.slice(0, Math.min(6, apiKey.length >> 1))}…`;
}

/** The hint of the key in a path; `undefined` when the path holds none. */
export function hintInPath(apiKey: string): string | undefined {
  return apiKey === '' ? undefined : keyHint(apiKey);
}
