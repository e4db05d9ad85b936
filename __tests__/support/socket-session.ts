import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { SettingsStore } from '../../lib';
import { call } from './guarded-app';
import { handshake } from './guarded-sockets';
import type { Reply } from './reply';
import type { Peer } from './web-socket-upstream';
import { exchange } from './wire';
import type { WireAnswer } from './wire';

export const text = (message: unknown) => (typeof message === 'string' ? message : JSON.stringify(message));
export const isoIn = (milliseconds: number) => new Date(Date.now() + milliseconds).toISOString();

/** Sends a message and reads the next answer. */
export async function ask(peer: Peer, message: unknown): Promise<Reply> {
  peer.socket.send(text(message));
  return JSON.parse(await peer.next()) as Reply;
}

/** A call that passes the guard and tells that all before it has been dealt with. */
export async function expectAlive(peer: Peer): Promise<void> {
  expect(await ask(peer, call('eth_alive', [], 'alive'))).toMatchObject({ id: 'alive', result: 'eth_alive' });
}

export const ALIVE = text(call('eth_alive', [], 'alive'));

export function upgradeAnswer(port: number, target: string, headers: readonly string[] = []): Promise<WireAnswer> {
  return exchange(port, handshake(target, headers), 'GET');
}

export async function allClosed(connections: readonly Socket[]): Promise<void> {
  for (const connection of connections) if (!connection.closed) await once(connection, 'close');
}

export function headerLines(headers: Record<string, string>): string[] {
  return Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
}

type Fakeable = 'setInterval' | 'setTimeout' | 'performance';

/** Fakes the named timers alone, so that sockets go on. */
export function fake(...names: readonly Fakeable[]): void {
  const others = ['Date', 'hrtime', 'nextTick', 'queueMicrotask', 'setImmediate', 'clearImmediate'] as const;
  const left = (['setInterval', 'setTimeout', 'performance'] as const).filter((name) => !names.includes(name));
  jest.useFakeTimers({
    doNotFake: [
      ...others,
      ...left,
      ...(names.includes('setInterval') ? [] : (['clearInterval'] as const)),
      ...(names.includes('setTimeout') ? [] : (['clearTimeout'] as const)),
    ],
  });
}

/** A store whose first look-up has begun when `looked` resolves. No look-up ends before `find` is called. */
export function heldStore(): {
  readonly store: SettingsStore;
  readonly looked: Promise<void>;
  readonly find: () => void;
} {
  let look: () => void = () => undefined;
  const looked = new Promise<void>((resolve) => (look = resolve));
  let find: () => void = () => undefined;
  const found = new Promise<void>((resolve) => (find = resolve));
  const store: SettingsStore = {
    async get(apiKey) {
      look();
      await found;
      return { apiKey };
    },
  };
  return { store, looked, find };
}
