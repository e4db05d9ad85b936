import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RpcGuardError } from '../errors';
import { describeError } from '../logger';
import type { Logger } from '../logger';
import { FileStore } from '../stores/file';
import type { WritableSettingsStore } from '../stores/settings-store';
import { storeFailed, usage } from './exit';
import { storeServer } from './store-server';
import type { ServerKind } from './store-server';

export interface OpenStore {
  readonly store: WritableSettingsStore;
  close(): Promise<void>;
}

export interface OpenStoreOptions {
  /** Logs what a person should know about the store. */
  readonly note: (line: string) => void;
  /** Whether a settings file may be missing, because the command makes it. */
  readonly makesFile: boolean;
}

export const DEFAULT_FILE = './rpc-guard.json';
const CONNECT_MS = 3000;
/** A server that takes longer to answer is down. */
const ANSWER_MS = 5000;
const CLIENT = { connectMs: CONNECT_MS, answerMs: ANSWER_MS, poolSize: 2 };
const WRITE_ONE =
  'write --store file:./rpc-guard.json, --store redis://host:6379 or --store postgres://host/database, or set RPC_GUARD_STORE';

/** Opens the store that `--store` or RPC_GUARD_STORE names. No message repeats it: it may hold a password. */
export async function openStore(named: string | undefined, options: OpenStoreOptions): Promise<OpenStore> {
  if (named === undefined || named === '') {
    if (!existsSync(DEFAULT_FILE)) throw usage(`there is no store: ${WRITE_ONE}`);
    options.note(`store: ${DEFAULT_FILE}`);
    return openFile(DEFAULT_FILE, options);
  }
  const kind = kindOfStore(named);
  return kind === 'file' ? openFile(pathOf(named), options) : openServer(kind, named);
}

/** By its scheme, or as a path that ends in `.json`. */
export function kindOfStore(named: string): 'file' | ServerKind {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(named)?.[1]?.toLowerCase();
  if (scheme === 'redis' || scheme === 'rediss') return 'redis';
  if (scheme === 'postgres' || scheme === 'postgresql') return 'postgres';
  if (scheme === 'file' || named.endsWith('.json')) return 'file';
  throw usage(
    `--store: ${scheme === undefined ? 'this is no store' : `there is no store for ${scheme}:`}; ${WRITE_ONE}`,
  );
}

function openFile(path: string, { note, makesFile }: OpenStoreOptions): OpenStore {
  if (!makesFile && !existsSync(path)) {
    throw storeFailed(`there is no file ${path}; "rpc-guard keys create" makes it`);
  }
  // A write waits for the file's lock, which cannot exist in a missing folder.
  if (!existsSync(dirname(path))) throw storeFailed(`there is no folder ${dirname(path)}`);
  // An error that matters to a command ends it. Others are for servers: `keys list` names the keys that do not parse.
  const warn = (fields: object, message: string) => note(`rpc-guard: ${message} ${JSON.stringify(fields)}`);
  const logger: Logger = { info: () => undefined, warn, error: () => undefined };
  const store = new FileStore(path, { logger });
  return { store, close: () => store.close() };
}

/** `./here.json`, `file:./here.json`, `file:/there.json` and `file:///there.json`. */
export function pathOf(named: string): string {
  if (!/^file:/i.test(named)) return named;
  if (!/^file:\/\//i.test(named)) return named.slice('file:'.length);
  try {
    return fileURLToPath(named);
  } catch {
    throw usage('--store: not a file; write file:./rpc-guard.json');
  }
}

async function openServer(kind: ServerKind, named: string): Promise<OpenStore> {
  const { store, name, password, connect, end } = storeServer(kind, named, CLIENT);
  try {
    await deadline(CONNECT_MS, name, password)(connect);
  } catch (error) {
    await end();
    throw error;
  }
  return { store: answering(store, deadline(ANSWER_MS, name, password)), close: end };
}

type Answer = <T>(work: () => Promise<T>) => Promise<T>;

/** Bounds a server's work in time, and names the server if it fails. */
function deadline(milliseconds: number, name: string, password: string | undefined): Answer {
  return async (work) => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${String(milliseconds / 1000)} s`)), milliseconds);
    });
    try {
      return await Promise.race([work(), late]);
    } catch (error) {
      if (error instanceof RpcGuardError) throw error;
      throw storeFailed(`${name} cannot be used: ${reasonOf(error, password)}`);
    } finally {
      clearTimeout(timer);
    }
  };
}

function reasonOf(error: unknown, password: string | undefined): string {
  const { message, code } = error as { message?: string; code?: string };
  const text = message !== undefined && message !== '' ? message : (code ?? 'it does not say why');
  return describeError(new Error(text), password).replace(/^Error: /, '');
}

function answering(store: WritableSettingsStore, answer: Answer): WritableSettingsStore {
  const { audit, limits, usage } = store;
  return {
    limits: limits && { exchange: (rows) => answer(() => limits.exchange(rows)) },
    usage,
    init: () => answer(async () => store.init?.()),
    get: (apiKey) => answer(() => store.get(apiKey)),
    set: (...write) => answer(() => store.set(...write)),
    delete: (...write) => answer(() => store.delete(...write)),
    list: (page) => answer(() => store.list(page)),
    audit: audit && {
      ...(audit.isKeptWithChange !== undefined && { isKeptWithChange: audit.isKeptWithChange }),
      append: (events) => answer(() => audit.append(events)),
      list: (query) => answer(() => audit.list(query)),
    },
  };
}
