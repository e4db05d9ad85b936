import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { KeySettingsInput } from '../../lib';
import { call } from './guarded-app';

export type StoreKind = 'node-redis' | 'ioredis' | 'postgres';

export interface GuardProcessOptions {
  readonly kind: StoreKind;
  /** Options of the client or the pool. */
  readonly connection: object;
  /** Of a PostgresStore. */
  readonly table?: string;
  /** URL of the upstream. */
  readonly upstream: string;
  readonly staleIfErrorMs?: number;
  readonly limitWaitMs?: number;
}

/** An instance of the guard in a process of its own. */
export interface GuardProcess {
  /** What a call with this key gets: `'passed'`, or the reason of the refusal. */
  ask(apiKey: string): Promise<string>;
  /** @returns the version written, or the code of the error. */
  set(settings: KeySettingsInput, expectedVersion?: number): Promise<number | string>;
  delete(apiKey: string): Promise<unknown>;
  /** What it has logged besides a line for each refusal. */
  notes(): Promise<readonly string[]>;
  /** How often it has read the key from the store. */
  reads(apiKey: string): Promise<number>;
  isRunning(): boolean;
  end(): Promise<void>;
}

/** No request may take longer, whatever has become of the store. */
const HANGS_MS = 5000;

interface Reply {
  readonly id?: number;
  readonly port?: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** Starts an instance, which runs until `end`. */
export async function guardProcess(options: GuardProcessOptions): Promise<GuardProcess> {
  const child = fork(join(__dirname, 'guarded-instance.cjs'), [JSON.stringify(options)], { execArgv: [] });
  const exited = once(child, 'exit');
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  const waiting = new Map<number, (reply: Reply) => void>();
  const port = await new Promise<number>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the instance ended with ${String(code)}`)));
    child.on('message', (reply: Reply) => {
      if (reply.port !== undefined) resolve(reply.port);
      else waiting.get(reply.id!)?.(reply);
    });
  });

  let last = 0;
  async function send(action: string, ...args: readonly unknown[]): Promise<Reply> {
    const id = ++last;
    const reply = new Promise<Reply>((resolve) => waiting.set(id, resolve));
    child.send({ id, action, args });
    return reply;
  }

  return {
    async ask(apiKey) {
      const response = await fetch(`http://127.0.0.1:${port}/v3/${apiKey}`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(call('eth_blockNumber')),
        signal: AbortSignal.timeout(HANGS_MS),
      });
      const answer = (await response.json()) as { error?: { data: { reason: string } } };
      return response.status === 200 ? 'passed' : (answer.error?.data.reason ?? String(response.status));
    },
    async set(settings, expectedVersion) {
      const { value, error } = await send('set', settings, expectedVersion);
      return error ?? (value as { version: number }).version;
    },
    async delete(apiKey) {
      const { value, error } = await send('delete', apiKey);
      return error ?? value;
    },
    notes: async () => {
      const lines = (await send('lines')).value as readonly string[];
      return lines.filter((line) => !/^info: (?:refused|the guard answers) /.test(line));
    },
    reads: async (apiKey) => (await send('reads', apiKey)).value as number,
    isRunning,
    async end() {
      if (isRunning()) child.kill('SIGKILL');
      await exited;
    },
  };
}
