import { Command, Option } from 'commander';
import { packageVersion } from '../version';
import { addAdmin } from './admin';
import { addAudit } from './audit';
import { addAllow } from './allow';
import { addCheck } from './check';
import { addCompletion } from './completion';
import { addKeys } from './keys';
import { examples } from './arguments';
import { usage } from './exit';
import { addRefusals } from './refusals';
import { addSecrets } from './secrets';
import { addSuggest } from './suggest';
import { addUsage } from './usage';
import { addServe } from './serve';

const HELP_WIDTH = 80;

const MORE = `
Stores:
  file:./rpc-guard.json            a JSON file; a bare path ending in .json too
  redis://user@host:6379/0         rediss:// for TLS; ?prefix= as in RedisStore;
                                   needs redis or ioredis
  postgres://user@host/database    ?table= and ?schema= as in PostgresStore;
                                   needs pg
  Without --store and RPC_GUARD_STORE, ./rpc-guard.json where it is there. Put a
  URL with a password into RPC_GUARD_STORE: an argument stays in the history.

Exit codes:
  0  done
  1  failed: the store is down, the key was changed meanwhile, a defect
  2  wrong usage or bad input, or not confirmed
  3  no such key or secret
  4  check: the request would be refused

Examples:
  rpc-guard keys create --name "my dapp" --origin https://app.example.com
  rpc-guard keys list --store redis://127.0.0.1:6379
  rpc-guard keys create --help`;

/** The commands and their options; every one has its file. */
export function makeProgram(): Command {
  const program = new Command('rpc-guard')
    .description('Manages the API keys, secrets and allowlists of rpc-guard, and tells what they would do.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help; every command has its own')
    .helpCommand(false)
    .exitOverride()
    // What went wrong is told in one place, cli/index.ts.
    .configureOutput({ outputError: () => undefined, getOutHelpWidth: helpWidth, getErrHelpWidth: helpWidth })
    .configureHelp({ showGlobalOptions: true, minWidthToWrap: 20 });
  program
    .addOption(new Option('--store <store>', 'where the keys are').env('RPC_GUARD_STORE'))
    .option('--json', 'print results as JSON on stdout, errors as JSON on stderr')
    .addHelpText('after', MORE);
  addKeys(program);
  addSecrets(program);
  addAllow(program);
  addCheck(program);
  addUsage(program);
  addRefusals(program);
  addSuggest(program);
  addAudit(program);
  addAdmin(program);
  addServe(program);
  addCompletion(program);
  addHelp(program);
  return program;
}

function addHelp(program: Command): void {
  const help = program
    .command('help')
    .summary('print the help of a command')
    .description('Prints the help of a command.');
  help.argument('[command...]', 'a command, such as keys create').action((names: readonly string[]) => {
    let asked = program;
    for (const name of names) {
      const below = asked.commands.find((command) => command.name() === name);
      if (below === undefined) throw usage(`there is no command ${names.join(' ')}`);
      asked = below;
    }
    asked.help();
  });
  examples(help, 'rpc-guard help keys', 'rpc-guard help keys create');
}

function helpWidth(): number {
  return HELP_WIDTH;
}
