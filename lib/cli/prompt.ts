import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { CliError, EXIT } from './exit';
import { printable } from './output';
import { readStdin } from './read-input';

/** Where a person is asked. Questions go to stderr: stdout carries results. */
export interface Person {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

/** Far more than any secret or password. */
const MAX_PIPED_BYTES = 64 * 1024;
const here = (): Person => ({ input: process.stdin, output: process.stderr });

/** Whether a person is there to answer. */
export function isAttended({ input, output }: Person = here()): boolean {
  return input.isTTY === true && output.isTTY === true;
}

export interface Confirmation {
  /** `--yes`. */
  readonly yes: boolean | undefined;
  /** The pending action, as a sentence without its full stop. */
  readonly what: string;
  readonly question: string;
  readonly accepts: (answer: string) => boolean;
}

/** Resolves once it is confirmed. @throws CliError if it is not, or nobody is there to confirm. */
export async function confirm({ yes, what, question, accepts }: Confirmation, person: Person = here()): Promise<void> {
  if (yes === true) return;
  if (!isAttended(person)) throw notConfirmed(`${what}; write --yes to do it without being asked`);
  person.output.write(`${printable(what)}.\n`);
  const answer = await ask(`${question} `, person);
  if (answer === undefined || !accepts(answer.trim())) throw notConfirmed('not confirmed; nothing was changed');
}

/** A line that is shown while it is typed; `undefined` when the input ends. */
export async function ask(question: string, person: Person = here()): Promise<string | undefined> {
  let answer: string | undefined;
  try {
    answer = await readLine(question, person, person.output);
    return answer;
  } finally {
    if (answer === undefined) person.output.write('\n');
  }
}

/** What is piped in, without the end of its last line: a secret or a password from a file. */
export async function readPiped(): Promise<string> {
  return (await readStdin(MAX_PIPED_BYTES)).toString().replace(/\r?\n$/, '');
}

/** A line of which nothing is shown. */
export async function askHidden(question: string, person: Person = here()): Promise<string | undefined> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  person.output.write(question);
  try {
    return await readLine('', person, nowhere);
  } finally {
    person.output.write('\n');
  }
}

function readLine(question: string, { input }: Person, output: NodeJS.WritableStream): Promise<string | undefined> {
  const lines = createInterface({ input, output, terminal: true, historySize: 0 });
  return new Promise((resolve, reject) => {
    lines.question(question, (line) => {
      resolve(line);
      lines.close();
    });
    lines.once('SIGINT', () => {
      reject(new CliError('ERR_RPC_GUARD_INTERRUPTED', EXIT.interrupted, 'interrupted; nothing was changed'));
      lines.close();
    });
    lines.once('close', () => resolve(undefined));
  });
}

function notConfirmed(message: string): CliError {
  return new CliError('ERR_RPC_GUARD_NOT_CONFIRMED', EXIT.usage, message);
}
