import { Option } from 'commander';
import type { Command } from 'commander';
import { ALLOWLIST_TYPES } from '../allowlists';
import type { AllowlistType } from '../settings/key-settings';
import { warningsOf } from '../keys/warnings';
import type { KeyView } from '../settings/key-view';
import { addApply, addImport } from './apply';
import { addExport } from './export';
import {
  addExpectVersion,
  addListOptions,
  examples,
  KEY_ARGUMENT,
  kebab,
  listsOf,
  parseExpiry,
  parseListTypes,
  parseWhole,
} from './arguments';
import type { ChangeFlags, ListOptions } from './arguments';
import { confirm } from './prompt';
import { CliError, usage } from './exit';
import { table } from './table';
import type { Terminal } from './output';
import type { Cell } from './table';
import { allKeys, noteProblems, withStore, readable, storedKey } from './with-store';
import type { Context } from './with-store';
import { ago, overrideRule, reportOnlyWords, secretRule, showChange, showKey, stateOf } from './show-key';
import { addAddressOption, addLimitOptions, changedLimits, isLimitGiven, limitWords } from './limit-options';
import type { LimitFlags } from './limit-options';
import { assertOneForm, showSecret } from './show-secret';

interface CreateOptions extends ListOptions, LimitFlags {
  readonly name?: string;
  readonly apiKey?: string;
  readonly disabled?: boolean;
  readonly requireSecret?: boolean;
  readonly overrideAllowlists?: boolean;
  readonly secret?: boolean;
  readonly label?: string;
  readonly expires?: string;
  readonly secretOnly?: boolean;
}

interface ListFlags {
  readonly limit?: number;
  readonly after?: string;
  readonly search?: string;
  readonly state?: 'enabled' | 'disabled';
  readonly sort?: 'name' | 'created' | 'updated' | 'key';
  readonly descending?: boolean;
}

interface UpdateOptions extends ChangeFlags, LimitFlags {
  readonly name?: string;
  readonly requireSecret?: boolean;
  readonly overrideAllowlists?: boolean;
  readonly reportOnly?: readonly AllowlistType[];
}

/** The first characters of a key that tell whoever deletes it that they mean this one. */
const TYPED_LENGTH = 6;

export function addKeys(program: Command): void {
  const keys = program
    .command('keys')
    .helpCommand(false)
    .summary('create, list, show, change and delete API keys, and keep them in files');
  keys.description('API keys: create, list, show, change and delete them, and keep their settings in files.');
  addCreate(keys);
  addList(keys);
  addShow(keys);
  addUpdate(keys);
  addDelete(keys);
  addSwitch(keys, 'enable', 'Lets requests with the key pass again.');
  addSwitch(keys, 'disable', 'Refuses every request with the key.');
  addExport(keys);
  addApply(keys);
  addImport(keys);
}

function addCreate(keys: Command): void {
  const create = keys.command('create').description('Creates an API key, and a secret for it where it needs one.');
  create
    .option('--name <name>', 'what it is for')
    .option('--api-key <key>', 'a key brought along from elsewhere; default: 32 fresh hex digits')
    .option('--disabled', 'refuse its requests until it is enabled')
    .option('--require-secret', 'refuse requests without a valid secret; makes one')
    .option('--override-allowlists', "a valid secret passes the key's allowlists")
    .option('--secret', 'make a secret though none is required')
    .option('--label <label>', 'the label of that secret')
    .option('--expires <when>', 'when that secret expires: 90d, or 2027-01-31T00:00:00Z', parseExpiry)
    .option('--secret-only', 'print nothing but the secret on stdout, for a pipe or a file')
    .action((options: CreateOptions, command: Command) =>
      withStore(command, (context) => createKey(context, options), { makesFile: true }),
    );
  addListOptions(create);
  addAddressOption(addLimitOptions(create));
  examples(
    create,
    'rpc-guard keys create --name "my dapp" --origin https://app.example.com \\',
    "  --method 'eth_get*' --method eth_call",
    'rpc-guard keys create --name backend --require-secret --expires 90d',
    'rpc-guard keys create --require-secret --secret-only > secret.txt',
  );
}

function addList(keys: Command): void {
  const list = keys
    .command('list')
    .description('Lists all keys, or those that are asked for, by name or as --sort says.');
  list
    .option('--search <text>', 'a part of the name, in any case, the beginning of the key, or its last 4 characters')
    .addOption(new Option('--state <state>', 'keys of this state alone').choices(['enabled', 'disabled']))
    .addOption(
      new Option('--sort <by>', 'the order; names in any case, equal ones by their creation')
        .choices(['name', 'created', 'updated', 'key'])
        .default('name'),
    )
    .option('--descending', 'from the last to the first')
    .option('--limit <n>', 'so many keys at most', parseWhole)
    .option('--after <place>', 'what follows a list that was cut by --limit, in the same order')
    .action((options: ListFlags, command: Command) => withStore(command, (context) => listKeys(context, options)));
  examples(
    list,
    'rpc-guard keys list --search dapp',
    'rpc-guard keys list --state disabled',
    'rpc-guard keys list --sort updated --descending --limit 10',
    "rpc-guard keys list --json | jq -r '.keys[].apiKey'",
  );
}

function addShow(keys: Command): void {
  const show = keys.command('show').description('Shows a key with its lists and secrets. No secret can be read again.');
  show.argument('<key>', KEY_ARGUMENT).action((apiKey: string, _options: object, command: Command) =>
    withStore(command, async (context) => {
      const key = await storedKey(context, apiKey);
      showKey(context.output, key, key.limits && (await context.manager.limits(key.apiKey)));
    }),
  );
  examples(show, `rpc-guard keys show $KEY`);
}

function addUpdate(keys: Command): void {
  const update = keys.command('update').description('Changes what is given, and leaves the rest.');
  update
    .argument('<key>', KEY_ARGUMENT)
    .option('--name <name>', 'what it is for')
    .option('--require-secret', 'refuse requests without a valid secret')
    .option('--no-require-secret', 'let requests without a secret pass')
    .option('--override-allowlists', "a valid secret passes the key's allowlists")
    .option('--no-override-allowlists', "a valid secret does not pass the key's allowlists")
    .option('--report-only <lists>', 'the lists that refuse nothing, as origins,methods; or none', parseListTypes)
    .action((apiKey: string, options: UpdateOptions, command: Command) =>
      withStore(command, (context) => updateKey(context, apiKey, options)),
    );
  addAddressOption(addLimitOptions(update));
  addExpectVersion(update);
  examples(
    update,
    `rpc-guard keys update $KEY --name "my dapp"`,
    `rpc-guard keys update $KEY --no-override-allowlists`,
    `rpc-guard keys update $KEY --report-only origins,methods`,
    'rpc-guard keys update $KEY --per-second 50 --per-day 1m --per-address 5',
  );
}

function addDelete(keys: Command): void {
  const del = keys.command('delete').description('Deletes a key with its secrets, once it is confirmed.');
  del
    .argument('<key>', KEY_ARGUMENT)
    .option('--yes', 'do it without being asked')
    .action((apiKey: string, options: ChangeFlags & { readonly yes?: boolean }, command: Command) =>
      withStore(command, (context) => deleteKey(context, apiKey, options)),
    );
  addExpectVersion(del);
  examples(del, `rpc-guard keys delete $KEY`, `rpc-guard keys delete $KEY --yes`);
}

function addSwitch(keys: Command, change: 'enable' | 'disable', does: string): void {
  const command = keys.command(change).description(does);
  command
    .argument('<key>', KEY_ARGUMENT)
    .action((named: string, { expectVersion: expectedVersion }: ChangeFlags, it: Command) =>
      withStore(it, async (context) => {
        const { apiKey } = await storedKey(context, named);
        const key = await context.manager[change](apiKey, { expectedVersion });
        showChange(context.output, key, `${change}d`);
      }),
    );
  addExpectVersion(command);
  examples(command, `rpc-guard keys ${change} $KEY`);
}

async function createKey({ manager, output }: Context, options: CreateOptions): Promise<void> {
  const { name, apiKey, disabled, requireSecret, overrideAllowlists, label, expires, secretOnly } = options;
  assertOneForm(output, secretOnly);
  const wantsSecret = options.secret === true || label !== undefined || expires !== undefined;
  if (secretOnly === true && !wantsSecret && requireSecret !== true) {
    throw usage('--secret-only needs a secret: write --secret or --require-secret');
  }
  if (apiKey !== undefined) await readable(apiKey, () => manager.get(apiKey));
  const made = await manager.create({
    name,
    apiKey,
    enabled: disabled === true ? false : undefined,
    requireSecret,
    overrideAllowlists,
    allowlists: listsOf(options),
    limits: changedLimits({}, options),
    secret: wantsSecret ? { label, expiresAt: expires } : undefined,
  });
  const { key, secret, secretId } = made;
  if (secret === undefined || secretId === undefined) showKey(output, key);
  else showSecret(output, { key, secret, secretId }, secretOnly);
}

async function listKeys(context: Context, wanted: ListFlags): Promise<void> {
  const { output } = context;
  const { keys, next } = await allKeys(context, wanted);
  const problems = await context.manager.problems();
  output.result({ keys, next, problems }, () => (keys.length === 0 ? [] : linesOfKeys(keys, output.terminal)));
  if (keys.length === 0) output.note('no keys');
  if (next !== undefined) output.note(`there is more: --after ${next}`);
  noteProblems(output, problems);
}

async function updateKey(context: Context, named: string, options: UpdateOptions): Promise<void> {
  const { name, requireSecret, overrideAllowlists, reportOnly, expectVersion } = options;
  const changes = { name, requireSecret, overrideAllowlists, reportOnly };
  const isLimited = isLimitGiven(options);
  if (!isLimited && Object.values(changes).every((value) => value === undefined)) {
    throw usage(
      'nothing to change: write --name, --[no-]require-secret, --[no-]override-allowlists, --report-only or a limit, as ' +
        '--per-second',
    );
  }
  const { apiKey, version, limits: before } = await storedKey(context, named);
  // Limits are merged with what was read: another change since must not be undone.
  const expectedVersion = expectVersion ?? (isLimited ? version : undefined);
  const limits = isLimited ? changedLimits(before, options) : undefined;
  const key = await context.manager.update(apiKey, { ...changes, limits }, { expectedVersion });
  const changed = [
    name === undefined ? [] : [`name ${key.name === '' ? '(none)' : key.name}`],
    requireSecret === undefined ? [] : [`secret ${secretRule(key)}`],
    overrideAllowlists === undefined ? [] : [`allowlists ${overrideRule(key)}`],
    reportOnly === undefined ? [] : [`report-only ${reportOnlyWords(key)}`],
    isLimited ? [`limits ${limitWords(key)}`] : [],
  ];
  showChange(context.output, key, changed.flat().join('; '), reportOnly);
}

async function deleteKey(
  context: Context,
  named: string,
  { yes, expectVersion }: ChangeFlags & { readonly yes?: boolean },
): Promise<void> {
  // Settings that do not parse are repaired by deleting them.
  const key = await storedKey(context, named).catch((error: unknown) => {
    if (error instanceof CliError && error.code === 'ERR_RPC_GUARD_SETTINGS') return undefined;
    throw error;
  });
  const { apiKey = named, name = '', version } = key ?? {};
  const which = key === undefined ? ', whose settings do not parse,' : name === '' ? '' : ` (${name})`;
  await confirm({
    yes,
    what: `This deletes the key ${apiKey}${which} with its secrets`,
    question: `Type ${name === '' ? '' : 'its name or '}its first ${String(TYPED_LENGTH)} characters:`,
    accepts: (typed) =>
      (name !== '' && typed === name.trim()) || (typed.length >= TYPED_LENGTH && apiKey.startsWith(typed)),
  });
  // Deletes exactly what was confirmed.
  const expectedVersion = expectVersion ?? (yes === true ? undefined : version);
  await context.manager.delete(apiKey, { expectedVersion });
  context.output.result({ deleted: apiKey }, () => [`deleted ${apiKey}`]);
}

function linesOfKeys(keys: readonly KeyView[], terminal: Terminal): string[] {
  return table(
    [
      { title: 'KEY' },
      { title: 'NAME', wraps: true },
      { title: 'STATE' },
      { title: 'SECRETS', wraps: true },
      { title: 'ALLOWLISTS', wraps: true },
      { title: 'CHANGED' },
    ],
    keys.map((key) => [key.apiKey, key.name, stateOf(key), secretsOf(key), listsOfKey(key), ago(key.updatedAt)]),
    terminal,
  );
}

function secretsOf({ requireSecret, secrets }: KeyView): string {
  const active = secrets.filter(({ state }) => state === 'active').length;
  return `${String(active)} active${requireSecret ? ', required' : ''}`;
}

function listsOfKey(key: KeyView): Cell {
  const { allowlists, reportOnly } = key;
  const warnings = warningsOf(key);
  const lists = ALLOWLIST_TYPES.filter((type) => allowlists[type].length > 0);
  if (lists.length === 0) {
    return warnings.some(({ code }) => code === 'OPEN_TO_ALL') ? { text: 'open to all', colour: 'yellow' } : 'none';
  }
  const isLong = (type: AllowlistType) => warnings.some((it) => it.code === 'REPORT_ONLY_FOR_LONG' && it.at === type);
  const words = lists.map((type) => {
    const effect = reportOnly.includes(type) ? ` report-only${isLong(type) ? ' for 30 days' : ''}` : '';
    return `${kebab(type)} ${String(allowlists[type].length)}${effect}`;
  });
  const text = words.join(', ');
  return lists.some((type) => reportOnly.includes(type)) ? { text, colour: 'yellow' } : text;
}
