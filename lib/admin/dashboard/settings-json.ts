import type { ShownKey } from '../api';
import type { KeyChanges } from '../../keys/changes';
import { FIELDS } from './fields';

/** What a text holds for a key: its changes, or why it cannot be taken. */
export type Imported =
  { readonly changes: KeyChanges; readonly ignored: readonly string[] } | { readonly problem: string };

/** Members of a key that nobody sets by an import: an identity, secrets, and what the server keeps itself. */
const NOT_TAKEN = ['apiKey', 'secrets', 'version', 'createdAt', 'updatedAt', 'warnings'];

/** A key's settings as JSON, without its secrets: of those only digests are kept. */
export function exportSettings({ apiKey, name, enabled, requireSecret, overrideAllowlists, allowlists }: ShownKey) {
  return `${JSON.stringify({ apiKey, name, enabled, requireSecret, overrideAllowlists, allowlists }, null, 2)}\n`;
}

/** Reads what `exportSettings` wrote, or a part of it. The server checks the entries. */
export function importSettings(text: string, settings: ShownKey): Imported {
  const given = parse(text);
  if (given === undefined) return { problem: 'This is not a JSON object.' };
  const known = [...FIELDS, 'allowlists', ...NOT_TAKEN];
  const unknown = Object.keys(given).filter((name) => !known.includes(name));
  if (unknown.length > 0) return { problem: `There is no such setting: ${unknown.join(', ')}.` };
  const wrong = FIELDS.find((name) => name in given && typeof given[name] !== typeof settings[name]);
  if (wrong !== undefined) return { problem: `${wrong}: it takes a ${typeof settings[wrong]}.` };
  const { allowlists = {} } = given;
  const problem = problemOf(allowlists, Object.keys(settings.allowlists));
  if (problem !== undefined) return { problem };
  const taken = Object.entries(given).filter(([name]) => !NOT_TAKEN.includes(name));
  const ignored = Object.keys(given).filter((name) => NOT_TAKEN.includes(name) && name !== 'apiKey');
  return { changes: Object.fromEntries(taken), ignored };
}

function parse(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function problemOf(allowlists: unknown, types: readonly string[]): string | undefined {
  if (!isObject(allowlists)) return 'allowlists: it takes an object.';
  const unknown = Object.keys(allowlists).find((type) => !types.includes(type));
  if (unknown !== undefined) return `There is no list ${unknown}; there are ${types.join(', ')}.`;
  const bad = Object.keys(allowlists).find((type) => !isTexts(allowlists[type]));
  return bad === undefined ? undefined : `allowlists.${bad}: it takes an array of texts.`;
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string');
}
