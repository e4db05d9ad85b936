import { existsSync, writeFileSync } from 'node:fs';
import { describeError } from '../logger';
import type { Logger } from '../logger';
import { FileStore } from '../stores/file';
import type { WritableSettingsStore } from '../stores/settings-store';
import { storeFailed } from './exit';
import { kindOfStore, pathOf } from './open-store';
import { storeServer } from './store-server';
import type { ServerKind } from './store-server';

/** A store for as long as a server runs. */
export interface ServerStore {
  readonly store: WritableSettingsStore;
  /** For people, without credentials. */
  readonly name: string;
  /** Ends the client. The guard has closed the store before. */
  end(): Promise<void>;
}

/** As docs/stores.md has them: a dead connection is found out within seconds, and made anew. */
const CLIENT = { connectMs: 2000, answerMs: 2000, reconnectMs: 500 };
const NO_KEYS = '{\n  "keys": []\n}\n';

/** Opens what `named` names, and makes a settings file that is missing. A server that is away is waited for, not an error. */
export function openServerStore(named: string, logger: Logger): ServerStore {
  const kind = kindOfStore(named);
  return kind === 'file' ? openFile(pathOf(named), logger) : openServer(kind, named, logger);
}

function openFile(path: string, logger: Logger): ServerStore {
  try {
    if (!existsSync(path)) writeFileSync(path, NO_KEYS, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    throw storeFailed(`${path} cannot be created: ${describeError(error)}`);
  }
  return { store: new FileStore(path, { logger }), name: path, end: () => Promise.resolve() };
}

function openServer(kind: ServerKind, named: string, logger: Logger): ServerStore {
  const { store, name, connect, end } = storeServer(kind, named, { ...CLIENT, logger });
  connect().catch((error: unknown) => {
    logger.error({ store: name, reason: describeError(error) }, 'the store cannot be reached yet');
  });
  return { store, name, end };
}
