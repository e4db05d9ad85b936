import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import type { RequestHandler } from 'express';
import express4 from 'express-4';
import { MemoryStore, rpcGuard } from '../../lib';
import type { KeySettingsInput, RpcGuard, RpcGuardOptions, SettingsStore } from '../../lib';
import { endAfterTest } from './cleanup';
import { KEY, basicHeader } from './pieces';
import { proxyUnderTest } from './proxy-under-test';
import { recordingUpstream } from './upstream';
import type { RecordingUpstream } from './upstream';

export { KEY };

export interface GuardedApp {
  readonly upstream: RecordingUpstream;
  readonly guard: RpcGuard;
  readonly server: Server;
  readonly port: number;
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  /** The guard's URL for `KEY`. */
  readonly rpcUrl: string;
}

export interface GuardedAppOptions {
  /** Settings of the keys; default one key, `KEY`, without any rule. */
  readonly keys?: readonly KeySettingsInput[];
  /** In place of a MemoryStore with `keys`. */
  readonly store?: SettingsStore;
  readonly upstream?: RecordingUpstream;
  /** Options of the guard besides `upstream` and `store`. */
  readonly options?: Partial<RpcGuardOptions>;
  readonly mount?: string;
  readonly expressVersion?: 4 | 5;
  /** Middleware in front of the guard. */
  readonly before?: readonly RequestHandler[];
}

/** An Express backend on a free port with the guard in it, in front of a recording upstream. Ended after the test. */
export async function guardedApp(given: GuardedAppOptions = {}): Promise<GuardedApp> {
  const upstream = given.upstream ?? (await recordingUpstream());
  const store = given.store ?? new MemoryStore(given.keys ?? [{ apiKey: KEY }]);
  const guard = rpcGuard({ upstream: upstream.url, store, ...proxyUnderTest, ...given.options });
  const app = given.expressVersion === 4 ? express4() : express();
  for (const middleware of given.before ?? []) app.use(middleware);
  app.use(given.mount ?? '/', guard);
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  endAfterTest(async () => {
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
    await guard.close();
  });
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  return { upstream, guard, server, port, url, rpcUrl: `${url}${given.mount ?? ''}/v3/${KEY}` };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look into answers of every shape
  readonly json: any;
}

/** POSTs `body` (an object is serialised) and reads the answer. */
export async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const text = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: text,
  });
  const answer = await response.text();
  let json: unknown;
  try {
    json = JSON.parse(answer);
  } catch {
    json = undefined;
  }
  return { status: response.status, headers: response.headers, text: answer, json };
}

export function call(method: string, params: readonly unknown[] = [], id: unknown = 1): Record<string, unknown> {
  return { jsonrpc: '2.0', id, method, params };
}

/** A call where it does not matter which. */
export const CALL = call('eth_blockNumber');

/** The `Authorization` header of a secret, as `curl --user :SECRET` sends it. */
export function basic(secret: string, user = ''): Record<string, string> {
  return { Authorization: basicHeader(secret, user) };
}
