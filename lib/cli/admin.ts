import type { Command } from 'commander';
import { hashPassword } from '../admin/basic-auth-admin';
import { examples } from './arguments';
import { askHidden, isAttended, readPiped } from './prompt';
import { usage } from './exit';
import { openOutput } from './output';

export function addAdmin(program: Command): void {
  const admin = program.command('admin').helpCommand(false).summary('make what the login of the dashboard is given');
  admin.description('The dashboard: make what its login, basicAuthAdmin(), is given.');

  const hash = admin
    .command('hash-password')
    .description('Asks for a password, or reads it from stdin, and prints its hash for basicAuthAdmin().')
    .action((_options: object, command: Command) => printHash(command));
  examples(hash, 'rpc-guard admin hash-password', 'rpc-guard admin hash-password < password.txt');
}

async function printHash(command: Command): Promise<void> {
  const output = openOutput(command.optsWithGlobals<{ readonly json?: boolean }>().json ?? false);
  const password = isAttended() ? await askTwice() : await readPiped();
  const hash = await hashPassword(password);
  output.result({ hash }, () => [hash]);
  output.note('In a shell and in .env files it goes into single quotes, because of its $.');
}

async function askTwice(): Promise<string> {
  const password = (await askHidden('Password (not shown): ')) ?? '';
  if ((await askHidden('Once more: ')) === password) return password;
  throw usage('the two passwords differ; no hash was made');
}
