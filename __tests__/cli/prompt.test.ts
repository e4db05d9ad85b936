import { PassThrough } from 'node:stream';
import { ask, askHidden, confirm, isAttended } from '../../lib/cli/prompt';
import type { Person } from '../../lib/cli/prompt';

/** Somebody at a terminal who has typed this. */
function person(typed: string, isTTY = true): { readonly it: Person; readonly shown: () => string } {
  const input = Object.assign(new PassThrough(), { isTTY });
  const output = Object.assign(new PassThrough(), { isTTY });
  input.write(typed);
  return { it: { input, output }, shown: () => String(output.read() ?? '').replace(/\x1b\[[0-9]*[A-Z]/g, '') };
}

const DELETE = {
  yes: undefined,
  what: 'This deletes it',
  question: 'Type its name:',
  accepts: (typed: string) => typed === 'name',
};

test('an answer is what is typed, and is shown', async () => {
  const { it, shown } = person('hello\r');
  expect(await ask('Who? ', it)).toBe('hello');
  expect(shown()).toContain('Who? hello');
});

test('of a hidden answer nothing is shown, not even its length', async () => {
  const { it, shown } = person('rgs_secret\r');
  expect(await askHidden('Secret: ', it)).toBe('rgs_secret');
  expect(shown()).toBe('Secret: \n');
});

test('the end of the input is no answer', async () => {
  expect(await ask('Who? ', person('\x04').it)).toBeUndefined();
  expect(await askHidden('Secret: ', person('\x04').it)).toBeUndefined();
});

test.each([ask, askHidden])('Ctrl-C ends the command with 130', async (question) => {
  await expect(question('Who? ', person('\x03').it)).rejects.toMatchObject({ exitCode: 130 });
});

test('typing what is asked for confirms', async () => {
  const { it, shown } = person('name\r');
  await confirm(DELETE, it);
  expect(shown()).toContain('This deletes it.\n');
});

test.each(['', 'nam', 'y', 'names'])('anything else does not: %j', async (typed) => {
  const { it } = person(`${typed}\r`);
  await expect(confirm(DELETE, it)).rejects.toMatchObject({ code: 'ERR_RPC_GUARD_NOT_CONFIRMED', exitCode: 2 });
});

test('--yes confirms without asking', async () => {
  const { it, shown } = person('', false);
  await confirm({ ...DELETE, yes: true }, it);
  expect(shown()).toBe('');
});

test('without a terminal nothing is confirmed, and the message names --yes', async () => {
  const { it, shown } = person('name\r', false);
  expect(isAttended(it)).toBe(false);
  await expect(confirm(DELETE, it)).rejects.toMatchObject({
    exitCode: 2,
    message: 'This deletes it; write --yes to do it without being asked',
  });
  expect(shown()).toBe('');
});

test('a name cannot move the cursor of the prompt', async () => {
  const { it, shown } = person('name\r');
  await confirm({ ...DELETE, what: 'This deletes \x1b[2Jit' }, it);
  expect(shown()).toContain('This deletes \\u001b[2Jit.');
});
