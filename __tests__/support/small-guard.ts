import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { KeySettingsInput } from '../../lib';
import { endAfterTest } from './cleanup';

export interface SmallGuardOptions {
  readonly upstream: string;
  readonly keys: readonly KeySettingsInput[];
  /** Default: that of the guard. */
  readonly callerIdleMs?: number;
}

export interface Usage {
  /** MiB that were resident at most. */
  readonly peak: number;
  /** Open connections of callers. */
  readonly connections: number;
}

/** A guard in a process of its own with a heap of 128 MB. Ended after the test. */
export interface SmallGuard {
  readonly port: number;
  /** What it has taken so far; rejects when it has ended. */
  readonly usage: () => Promise<Usage>;
}

export async function smallGuard(options: SmallGuardOptions): Promise<SmallGuard> {
  const execArgv = ['--max-old-space-size=128', '--max-semi-space-size=4'];
  const child = fork(join(__dirname, 'small-instance.cjs'), [JSON.stringify(options)], { execArgv, silent: true });
  endAfterTest(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  const ended = once(child, 'exit').then(([code, signal]: unknown[]) => {
    throw new Error(`the guard's process ended with ${String(code ?? signal)}`);
  });
  ended.catch(() => undefined);
  const next = async <T>() => ((await Promise.race([once(child, 'message'), ended])) as [T])[0];
  const { port } = await next<{ port: number }>();
  return {
    port,
    usage() {
      if (child.connected) child.send('usage');
      return next<Usage>();
    },
  };
}
