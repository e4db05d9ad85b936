import { isUtf8 } from 'node:buffer';
import type * as Yaml from 'yaml';
import { parseJson } from '../json-rpc/strict-json';
import { readDocument } from '../keys/settings-document';
import type { ReadDocument, SettingsDocument } from '../keys/settings-document';
import { keyHint } from '../settings/api-key';
import { CliError, EXIT } from './exit';
import { readInputFile } from './read-input';

/** Far more than 10,000 keys. */
const MAX_BYTES = 32 * 1024 * 1024;
const EXAMPLE = '{ "keys": [{ "apiKey": "my-first-key", "name": "my dapp" }] }';

/**
 * Reads the settings of one key or, under `keys`, of several.
 * @throws CliError that names the file, the key and the member, for every problem at once.
 */
export function readSettingsFile(path: string): readonly ReadDocument[] {
  const content = readDataFile(path, EXAMPLE);
  const many = (content as { readonly keys?: unknown } | null | undefined)?.keys;
  if (many === undefined ? Array.isArray(content) : !Array.isArray(many)) {
    throw wrongFile(`${path}: is not the settings of a key, nor of several under "keys"; write ${EXAMPLE}`);
  }
  const problems: string[] = [];
  const documents: readonly unknown[] = Array.isArray(many) ? many : [content];
  const read = documents.flatMap((document, at) => {
    const place = Array.isArray(many) ? `keys.${String(at)}${hintOf(document)}` : `the key${hintOf(document)}`;
    try {
      return [readDocument(document)];
    } catch (error) {
      problems.push(`${place}: ${(error as Error).message}`);
      return [];
    }
  });
  const seen = new Set<string>();
  for (const { apiKey } of read) {
    if (apiKey !== undefined && seen.has(apiKey)) problems.push(`the key ${keyHint(apiKey)} is there twice`);
    if (apiKey !== undefined) seen.add(apiKey);
  }
  if (problems.length > 0) throw wrongFile(`${path}: ${problems.join('; ')}`);
  return read;
}

/** Settings as a file holds them: YAML where its name says so, or JSON. */
export function settingsText(content: SettingsDocument | { readonly keys: readonly object[] }, path?: string): string {
  if (path === undefined || !isYaml(path)) return `${JSON.stringify(content, null, 2)}\n`;
  // With aliases, who edits a list of one key would edit it of others.
  return loadYaml().stringify(content, { aliasDuplicateObjects: false });
}

/** What a YAML or JSON file holds. `example` shows how to write it. */
export function readDataFile(path: string, example: string): unknown {
  const bytes = readInputFile(path, MAX_BYTES);
  // PowerShell's `>` writes UTF-16, or UTF-8 with a byte order mark.
  if (!isUtf8(bytes)) throw wrongFile(`${path}: is not UTF-8: save it in that encoding`);
  const text = bytes.toString().replace(/^\ufeff/, '');
  const isYamlText = isYaml(path) || (path === '-' && !/^\s*[{[]/.test(text));
  return isYamlText ? parseYaml(text, path) : parseJsonFile(text, path, example);
}

function isYaml(path: string): boolean {
  return /\.ya?ml$/i.test(path);
}

/** Quotes nothing of the file, which may hold hashes. */
function parseJsonFile(text: string, path: string, example: string): unknown {
  const json = parseJson(text, { maxDepth: 32, maxValues: Infinity });
  if (json.ok) return JSON.parse(text);
  if (json.broken !== 'syntax') throw wrongFile(`${path}: has ${json.rule}`);
  const lines = text.slice(0, json.at).split('\n');
  const place = `line ${String(lines.length)}, column ${String((lines.at(-1) ?? '').length + 1)}`;
  throw wrongFile(`${path}: is not JSON from ${place} on; write ${example}`);
}

/** An address without quotes stays text: as YAML goes, `0x` and 40 digits would be a number. */
function parseYaml(text: string, path: string): unknown {
  try {
    return loadYaml().parse(text, {
      schema: 'failsafe',
      customTags: ['null', 'bool', 'int', 'float'],
      logLevel: 'error',
    });
  } catch (error) {
    const [problem = ''] = (error as Error).message.split('\n');
    throw wrongFile(`${path}: ${problem.replace(/:$/, '')}`);
  }
}

/** Loaded only for YAML: it takes 30 ms. */
function loadYaml(): typeof Yaml {
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  return require('yaml') as typeof Yaml;
}

function hintOf(document: unknown): string {
  const { apiKey } = (document ?? {}) as { readonly apiKey?: unknown };
  return typeof apiKey === 'string' ? ` (${keyHint(apiKey)})` : '';
}

function wrongFile(message: string): CliError {
  return new CliError('ERR_RPC_GUARD_SETTINGS', EXIT.usage, message);
}
