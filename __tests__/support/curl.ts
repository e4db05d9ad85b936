import { spawn, spawnSync } from 'node:child_process';
import { text } from 'node:stream/consumers';

export const hasCurl = spawnSync('curl', ['--version']).status === 0;
if (!hasCurl) console.warn('curl is not on this machine: what it is needed for is not tested');

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `curl`, silent but for errors, with `input` on its standard input. */
export function curl(args: readonly string[], input: string | Buffer = ''): Promise<Finished> {
  return run('curl', ['-sS', '--max-time', '20', ...args], input);
}

/** A command line, as it stands in a document. */
export function shell(line: string): Promise<Finished> {
  return run('sh', ['-c', line]);
}

async function run(command: string, args: readonly string[], input: string | Buffer = ''): Promise<Finished> {
  const child = spawn(command, args, { env: { ...process.env, NO_PROXY: '*', CURL_HOME: '/nonexistent' } });
  const exit = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  // curl may go away, refused, before it has read all of it.
  child.stdin.on('error', () => undefined).end(input);
  const [code, stdout, stderr] = await Promise.all([exit, text(child.stdout), text(child.stderr)]);
  return { code, stdout, stderr };
}
