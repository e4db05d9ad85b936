import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { RpcGuardError } from '../errors';
import { KeyManager } from '../keys/key-manager';
import type { KeyView } from '../keys/key-view';
import { keyHint } from '../settings/api-key';
import type { WritableSettingsStore } from '../stores/settings-store';
import { CliError, EXIT } from './exit';
import { openStore } from './open-store';
import { openOutput } from './output';
import type { Output } from './output';

/** What a command works with. */
export interface Context {
  readonly store: WritableSettingsStore;
  readonly manager: KeyManager;
  readonly output: Output;
}

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
    await work({ store, manager: new KeyManager(store, { actor: `cli:${userName()}` }), output });
  } finally {
    await opened.close().catch(() => undefined);
  }
}

/**
 * The key as it is stored.
 * @throws CliError that tells settings that do not parse (1) from a key that is not there (3) and from bad input (2).
 */
export async function storedKey({ manager }: Context, apiKey: string): Promise<KeyView> {
  const key = await readable(apiKey, () => manager.get(apiKey));
  if (key !== undefined) return key;
  throw new RpcGuardError('ERR_RPC_GUARD_KEY_UNKNOWN', 'there is no such key');
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
