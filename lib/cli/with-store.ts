import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { RpcGuardError } from '../errors';
import type { ListOptions } from '../keys/changes';
import { KeyManager } from '../keys/key-manager';
import type { KeyView } from '../settings/key-view';
import { keyHint } from '../settings/api-key';
import type { KeyProblem, WritableSettingsStore } from '../stores/settings-store';
import { NO_KEY } from '../stores/usage-store';
import { CliError, EXIT, usage } from './exit';
import { openStore } from './open-store';
import { openOutput } from './output';
import type { Output } from './output';

/** What a command gets to work with. */
export interface Context {
  readonly store: WritableSettingsStore;
  readonly manager: KeyManager;
  readonly output: Output;
}

const PAGE_SIZE = 500;
/** Fewer characters are a slip of the hand. */
const SHORTEST_PREFIX = 4;
/** Keys that a message names. */
const MAX_TOLD = 5;

interface SharedOptions {
  readonly store?: string;
  readonly json?: boolean;
}

/** Opens the store for as long as the command works. */
export async function withStore(
  command: Command,
  work: (context: Context) => Promise<void>,
  { makesFile = false }: { readonly makesFile?: boolean } = {},
): Promise<void> {
  const { store: named, json = false } = command.optsWithGlobals<SharedOptions>();
  const output = openOutput(json);
  const { store, ...opened } = await openStore(named, { note: (line) => output.note(line), makesFile });
  try {
    await work({ store, manager: new KeyManager(store, { actor: `cli:${userName()}`, via: 'cli' }), output });
  } finally {
    await opened.close().catch(() => undefined);
  }
}

/**
 * The key as it is stored, by itself, by its first characters or by its name.
 * @throws CliError that tells settings that do not parse (1) from a key that is not there (3) and from bad input (2).
 */
export async function storedKey(context: Context, named: string): Promise<KeyView> {
  const key = await findKey(context, named);
  if (key !== undefined) return key;
  throw noSuchKey();
}

export function noSuchKey(): RpcGuardError {
  const takes = `a key, its first characters (${String(SHORTEST_PREFIX)} or more) or its name`;
  const text = `there is no such key: give ${takes}; "rpc-guard keys list" shows them`;
  return new RpcGuardError('ERR_RPC_GUARD_KEY_UNKNOWN', text);
}

/** Above what is kept of a key that is no longer stored. */
export function noteDeleted(output: Output, named: string): void {
  if (named !== NO_KEY) output.note('the key is deleted; this is what is kept of it');
}

/** As `storedKey` does, but `undefined` where there is none. */
export async function findKey(context: Context, named: string): Promise<KeyView | undefined> {
  const exact = await readable(named, () => context.manager.get(named));
  if (exact !== undefined || named === '') return exact;
  const { keys } = await allKeys(context, { search: named });
  const found = keys.filter((key) => isMeant(key, named));
  if (found.length <= 1) return found[0];
  const told = found.slice(0, MAX_TOLD).map(({ apiKey, name }) => (name === '' ? apiKey : `${apiKey} (${name})`));
  const more = found.length > MAX_TOLD ? ` and ${String(found.length - MAX_TOLD)} more` : '';
  throw usage(`say which key: ${told.join(', ')}${more}`);
}

function isMeant({ apiKey, name }: KeyView, named: string): boolean {
  return name === named || (named.length >= SHORTEST_PREFIX && apiKey.startsWith(named));
}

export interface KeyListing {
  readonly keys: readonly KeyView[];
  /** Where to go on; `undefined` at the end. */
  readonly next: string | undefined;
}

/** The keys that are asked for, however many pages they are. */
export async function allKeys({ manager }: Context, wanted: ListOptions = {}): Promise<KeyListing> {
  const { limit = Infinity, ...query } = wanted;
  const keys: KeyView[] = [];
  let next = query.after;
  do {
    const page = await manager.list({ ...query, after: next, limit: Math.min(PAGE_SIZE, limit - keys.length) });
    keys.push(...page.keys);
    next = page.next;
  } while (next !== undefined && keys.length < limit);
  return { keys, next };
}

export function noteProblems(output: Output, problems: readonly KeyProblem[]): void {
  for (const { keyHint, reason } of problems) output.note(`${keyHint || 'a key'} does not parse: ${reason}`);
}

/** Reads a key's settings; says so where what is stored does not parse. */
export async function readable<T>(apiKey: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof RpcGuardError) || error.code !== 'ERR_RPC_GUARD_SETTINGS') throw error;
    const text = `the stored settings of ${keyHint(apiKey)} do not parse: ${error.message}`;
    throw new CliError('ERR_RPC_GUARD_SETTINGS', EXIT.failed, text);
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return 'unknown';
  }
}
