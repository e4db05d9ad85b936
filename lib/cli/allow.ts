import type { Command } from 'commander';
import { ALLOWLIST_TYPES } from '../allowlists';
import type { AllowlistType } from '../settings/key-settings';
import { KeyManager } from '../keys/key-manager';
import type { KeyView } from '../settings/key-view';
import { MemoryStore } from '../stores/memory';
import { MAX_ATTEMPTS, isStale } from '../stores/versioned-write';
import { addExpectVersion, examples, KEY_ARGUMENT, kebab, parseListType } from './arguments';
import type { ChangeFlags } from './arguments';
import { confirm } from './prompt';
import { withStore, storedKey } from './with-store';
import type { Output } from './output';
import type { Context } from './with-store';
import { NO_LIST, showChange } from './show-key';

interface RemoveOptions extends ChangeFlags {
  readonly yes?: boolean;
}

const LIST = ALLOWLIST_TYPES.map(kebab).join(', ');

export function addAllow(program: Command): void {
  const allow = program.command('allow').helpCommand(false).summary('add and remove entries of allowlists');
  allow.description('Allowlists of a key: add entries and remove them. An empty list is no list.');

  const add = allow.command('add').description('Adds entries to a list: all of them or, where one is bad, none.');
  add
    .argument('<key>', KEY_ARGUMENT)
    .argument('<list>', LIST, parseListType)
    .argument('<entries...>', 'one entry or more')
    .action((named: string, type: AllowlistType, entries: string[], options: ChangeFlags, command: Command) =>
      withStore(command, async (context) => {
        const { apiKey } = await storedKey(context, named);
        const change = { expectedVersion: options.expectVersion };
        showList(context.output, await context.manager.addToAllowlist(apiKey, type, entries, change), type);
      }),
    );
  addExpectVersion(add);
  examples(
    add,
    `rpc-guard allow add $KEY origins 'https://*.example.com'`,
    `rpc-guard allow add $KEY methods eth_call 'eth_get*'`,
    `rpc-guard allow add $KEY contract \\`,
    '  0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b',
    `rpc-guard allow add $KEY user-agent Android`,
  );

  const remove = allow.command('remove').description('Takes entries off a list.');
  remove
    .argument('<key>', KEY_ARGUMENT)
    .argument('<list>', LIST, parseListType)
    .argument('<entries...>', 'one entry or more')
    .option('--yes', 'do not ask where the list is left empty, which opens it for everything')
    .action((apiKey: string, type: AllowlistType, entries: string[], options: RemoveOptions, command: Command) =>
      withStore(command, (context) => removeEntries(context, apiKey, type, entries, options)),
    );
  addExpectVersion(remove);
  examples(remove, `rpc-guard allow remove $KEY origins https://old.example.com`);
}

async function removeEntries(
  context: Context,
  named: string,
  type: AllowlistType,
  entries: readonly string[],
  { yes, expectVersion }: RemoveOptions,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const stored = await storedKey(context, named);
    const { apiKey } = stored;
    if (await leavesNone(stored, type, entries)) {
      await confirm({
        yes,
        what: `This leaves ${kebab(type)} without an entry, and so opens it for everything`,
        question: 'Type yes to do it:',
        accepts: (typed) => /^y(?:es)?$/i.test(typed),
      });
    }
    // Done to what was looked at: another's removal in between could make this one the last.
    const expectedVersion = expectVersion ?? stored.version;
    try {
      const key = await context.manager.removeFromAllowlist(apiKey, type, entries, { expectedVersion });
      showList(context.output, key, type);
      return;
    } catch (error) {
      if (!isStale(error) || expectVersion !== undefined || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

/** The list as it is now. */
function showList(output: Output, key: KeyView, type: AllowlistType): void {
  const entries = key.allowlists[type];
  showChange(output, key, `${kebab(type)} now ${entries.length === 0 ? NO_LIST : entries.join(', ')}`, [type]);
}

/** Whether nothing is left then: tried on a copy, so that the rules stay KeyManager's. Secrets have no part in it. */
async function leavesNone(key: KeyView, type: AllowlistType, entries: readonly string[]): Promise<boolean> {
  const copy = new KeyManager(new MemoryStore([{ ...key, secrets: [] }]));
  return (await copy.removeFromAllowlist(key.apiKey, type, entries)).allowlists[type].length === 0;
}
