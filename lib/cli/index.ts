#!/usr/bin/env node
import { EXIT } from './exit';
import { run } from './run';

/** How long open handles may stay after the work is done. */
const LINGER_MS = 1000;

void main();

async function main(): Promise<void> {
  // Whoever reads the output may stop reading: `rpc-guard keys list | head`.
  process.stdout.on('error', endQuietly);
  process.stderr.on('error', endQuietly);
  const args = process.argv.slice(2);
  await run(args);
  // A shell waits for what completes its line, and a store that is away holds its connection open.
  setTimeout(() => process.exit(), args[0] === 'complete' ? 0 : LINGER_MS).unref();
}

function endQuietly(error: NodeJS.ErrnoException): void {
  process.exit(error.code === 'EPIPE' ? (process.exitCode ?? EXIT.done) : EXIT.failed);
}
