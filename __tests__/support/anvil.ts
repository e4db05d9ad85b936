import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface Anvil {
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** A real Ethereum node on a free port: the platform package's own binary, because the npm shim downloads. */
export async function startAnvil(...args: readonly string[]): Promise<Anvil> {
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const platform = `${process.platform}-${architecture}`;
  const binary = require.resolve(`@foundry-rs/anvil-${platform}/bin/anvil`);
  const child = spawn(binary, ['--port', '0', '--host', '127.0.0.1', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const port = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`anvil ended with ${String(code)}`)));
    createInterface(child.stdout).on('line', (line) => {
      const match = /^Listening on 127\.0\.0\.1:(\d+)/.exec(line);
      if (match !== null) resolve(Number(match[1]));
    });
  });
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    async stop() {
      const exited = once(child, 'exit');
      child.kill();
      await exited;
    },
  };
}
