import type { ShownKey } from '../api';

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString()} ${number === 1 ? one : many}`;
}

/** With separators, as people write numbers where they are. */
export function number(value: number): string {
  return value.toLocaleString();
}

/** A share, 0 to 1, never shown as less than it is. */
export function percent(share: number): string {
  return `${(Math.ceil(share * 10_000) / 100).toLocaleString()} %`;
}

export function shorten(apiKey: string): string {
  return apiKey.length > 16 ? `${apiKey.slice(0, 8)}…${apiKey.slice(-4)}` : apiKey;
}

/** How a key is called where its name alone would be too little. */
export function nameOf({ name, apiKey, keyHint }: Pick<ShownKey, 'name' | 'apiKey' | 'keyHint'>): string {
  return name === '' ? `Key ${keyHint ?? `${apiKey.slice(0, 8)}…`}` : name;
}

export function hasActiveSecret(secrets: ShownKey['secrets']): boolean {
  return secrets.some(({ state }) => state === 'active');
}
