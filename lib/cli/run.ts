import { CommanderError } from 'commander';
import { EXIT, failureOf } from './exit';
import { jsonOf, terminalOf, wrap } from './output';
import { makeProgram } from './program';

/** Runs one command, such as `['keys', 'list']`, to its end. Its exit code, if it is not 0, is in `process.exitCode`. */
export async function run(args: readonly string[]): Promise<void> {
  try {
    await makeProgram().parseAsync(args, { from: 'user' });
  } catch (error) {
    end(error, args.includes('--json'));
  }
}

function end(error: unknown, isJson: boolean): void {
  if (error instanceof CommanderError && error.exitCode === 0) return;
  if (error instanceof CommanderError && error.code === 'commander.help') {
    process.exitCode = EXIT.usage;
    return;
  }
  const { code, exitCode, message } = failureOf(error);
  const { width } = terminalOf(process.stderr, process.env);
  const lines = isJson
    ? [jsonOf({ error: { code, message } })]
    : `rpc-guard: ${message}`.split('\n').flatMap((line) => wrap(line, width));
  process.stderr.write(`${lines.join('\n')}\n`);
  process.exitCode = exitCode;
}
