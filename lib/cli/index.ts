#!/usr/bin/env node
import { CommanderError } from 'commander';
import { EXIT, failureOf } from './exit';
import { jsonOf } from './output';
import { makeProgram } from './program';

/** How long open handles may stay after the work is done. */
const LINGER_MS = 1000;

void main();

async function main(): Promise<void> {
  // Whoever reads the output may stop reading: `rpc-guard keys list | head`.
  process.stdout.on('error', endQuietly);
  process.stderr.on('error', endQuietly);
  try {
    await makeProgram().parseAsync();
  } catch (error) {
    end(error);
  }
  setTimeout(() => process.exit(), LINGER_MS).unref();
}

function end(error: unknown): void {
  if (error instanceof CommanderError && error.exitCode === 0) return;
  if (error instanceof CommanderError && error.code === 'commander.help') {
    process.exitCode = EXIT.usage;
    return;
  }
  const { code, exitCode, message } = failureOf(error);
  const isJson = process.argv.includes('--json');
  process.stderr.write(isJson ? `${jsonOf({ error: { code, message } })}\n` : `rpc-guard: ${message}\n`);
  process.exitCode = exitCode;
}

function endQuietly(error: NodeJS.ErrnoException): void {
  process.exit(error.code === 'EPIPE' ? (process.exitCode ?? EXIT.done) : EXIT.failed);
}
