import type { Command } from 'commander';
import type { KeyView } from '../settings/key-view';
import {
  addExpectVersion,
  addListOptions,
  examples,
  KEY_ARGUMENT,
  listsOf,
  parseDuration,
  parseExpiry,
} from './arguments';
import type { ChangeFlags, ListOptions } from './arguments';
import { confirm } from './prompt';
import { usage } from './exit';
import { withStore, storedKey } from './with-store';
import type { Context } from './with-store';
import { showChange, when } from './show-key';
import { addLimitOptions, changedLimits, isLimitGiven, limitWords } from './limit-options';
import type { LimitFlags } from './limit-options';
import { assertOneForm, showSecret } from './show-secret';

interface AddOptions extends ListOptions, ChangeFlags, LimitFlags {
  readonly label?: string;
  readonly expires?: string;
  readonly secretOnly?: boolean;
}

interface UpdateFlags extends ChangeFlags, LimitFlags {
  readonly label?: string;
  readonly expires?: string;
}

interface RotateFlags extends ChangeFlags {
  readonly grace: number;
  readonly expires?: string;
  readonly secretOnly?: boolean;
}

interface RevokeOptions extends ChangeFlags {
  readonly yes?: boolean;
}

const DAY_MS = 24 * 60 * 60 * 1000;

export function addSecrets(program: Command): void {
  const secrets = program
    .command('secrets')
    .helpCommand(false)
    .summary('add, change, rotate and revoke the secrets of a key');
  secrets.description('Secrets of a key: add, change, rotate and revoke them. "keys show" lists them.');
  addAdd(secrets);
  addUpdate(secrets);
  addRotate(secrets);
  addRevoke(secrets);
}

function addAdd(secrets: Command): void {
  const add = secrets.command('add').description('Adds a secret beside those there are.');
  add
    .argument('<key>', KEY_ARGUMENT)
    .option('--label <label>', 'who uses it')
    .option('--expires <when>', '90d, or 2027-01-31T00:00:00Z; default: never', parseExpiry)
    .option('--secret-only', 'print nothing but the secret on stdout, for a pipe or a file')
    .action((apiKey: string, options: AddOptions, command: Command) =>
      withStore(command, (context) => addSecret(context, apiKey, options)),
    );
  addLimitOptions(add);
  addListOptions(add).addHelpText('after', "\nLists given here hold for this secret in place of the key's.");
  addExpectVersion(add);
  examples(
    add,
    `rpc-guard secrets add $KEY --label backend --expires 90d`,
    `rpc-guard secrets add $KEY --label partner --per-second 20 --per-day 100k`,
    `rpc-guard secrets add $KEY --secret-only > secret.txt`,
  );
}

function addUpdate(secrets: Command): void {
  const update = secrets.command('update').description('Changes what is given of a secret, and leaves the rest.');
  update
    .argument('<key>', KEY_ARGUMENT)
    .argument('<secret-id>', 'the secret to change')
    .option('--label <label>', 'who uses it')
    .option('--expires <when>', '90d, 2027-01-31T00:00:00Z, or none', parseNewExpiry)
    .action((apiKey: string, secretId: string, options: UpdateFlags, command: Command) =>
      withStore(command, (context) => updateSecret(context, apiKey, secretId, options)),
    );
  addLimitOptions(update);
  addExpectVersion(update);
  examples(
    update,
    `rpc-guard secrets update $KEY 0b1f4c8e9d2a --label backend --expires none`,
    `rpc-guard secrets update $KEY 0b1f4c8e9d2a --per-second 20 --per-day 100k`,
  );
}

function addRotate(secrets: Command): void {
  const rotate = secrets.command('rotate').description('Makes a secret that takes the place of another.');
  rotate
    .argument('<key>', KEY_ARGUMENT)
    .argument('[secret-id]', 'the secret to replace; not needed where there is one alone')
    .option('--grace <duration>', 'how long the old one lives on: 24h, 90m, 7d, 0', parseDuration, DAY_MS)
    .option('--expires <when>', 'when the new one expires: 90d, or 2027-01-31T00:00:00Z', parseExpiry)
    .option('--secret-only', 'print nothing but the secret on stdout, for a pipe or a file')
    .action((apiKey: string, secretId: string | undefined, options: RotateFlags, command: Command) =>
      withStore(command, (context) => rotateSecret(context, apiKey, secretId, options)),
    );
  rotate.options.find(({ long }) => long === '--grace')?.default(DAY_MS, '24h');
  addExpectVersion(rotate);
  examples(
    rotate,
    `rpc-guard secrets rotate $KEY`,
    `rpc-guard secrets rotate $KEY 0b1f4c8e9d2a --grace 7d`,
    `rpc-guard secrets rotate $KEY --secret-only | vault-put rpc-guard`,
  );
}

function addRevoke(secrets: Command): void {
  const revoke = secrets.command('revoke').description('Ends a secret at once, when it is confirmed.');
  revoke
    .argument('<key>', KEY_ARGUMENT)
    .argument('<secret-id>', 'the secret to end')
    .option('--yes', 'do it without being asked')
    .action((apiKey: string, secretId: string, options: RevokeOptions, command: Command) =>
      withStore(command, (context) => revokeSecret(context, apiKey, secretId, options)),
    );
  addExpectVersion(revoke);
  examples(revoke, `rpc-guard secrets revoke $KEY 0b1f4c8e9d2a`);
}

async function addSecret(context: Context, named: string, options: AddOptions): Promise<void> {
  const { label, expires: expiresAt, secretOnly, expectVersion: expectedVersion } = options;
  assertOneForm(context.output, secretOnly);
  const { apiKey } = await storedKey(context, named);
  const limits = changedLimits({}, options) ?? undefined;
  const secret = { label, expiresAt, allowlists: listsOf(options), limits };
  showSecret(context.output, await context.manager.addSecret(apiKey, secret, { expectedVersion }), secretOnly);
}

/** `none`, or what `parseExpiry` takes. */
function parseNewExpiry(text: string): string {
  return text === 'none' ? text : parseExpiry(text);
}

async function updateSecret(
  context: Context,
  named: string,
  secretId: string,
  { label, expires, expectVersion, ...flags }: UpdateFlags,
): Promise<void> {
  const isLimited = isLimitGiven(flags);
  if (label === undefined && expires === undefined && !isLimited) {
    throw usage('nothing to change: write --label, --expires or a limit, such as --per-second');
  }
  const { apiKey, secrets, version } = await storedKey(context, named);
  const before = secrets.find(({ id }) => id === secretId);
  // Limits are merged with what was read: another change since must not be undone.
  const expectedVersion = expectVersion ?? (isLimited ? version : undefined);
  const changes = {
    label,
    expiresAt: expires === 'none' ? null : expires,
    limits: isLimited ? changedLimits(before?.limits, flags) : undefined,
  };
  const key = await context.manager.updateSecret(apiKey, secretId, changes, { expectedVersion });
  const { expiresAt, ...after } = key.secrets.find(({ id }) => id === secretId)!;
  const changed = [
    label === undefined ? [] : [`label ${after.label === '' ? '(none)' : after.label}`],
    expires === undefined ? [] : [`expires ${expiresAt === undefined ? 'never' : when(expiresAt)}`],
    isLimited ? [`limits ${limitWords(after)}`] : [],
  ];
  showChange(context.output, key, `the secret ${secretId}: ${changed.flat().join('; ')}`);
}

async function rotateSecret(
  context: Context,
  namedKey: string,
  named: string | undefined,
  { grace: graceMs, expires: expiresAt, secretOnly, expectVersion: expectedVersion }: RotateFlags,
): Promise<void> {
  const { manager, output } = context;
  assertOneForm(output, secretOnly);
  const key = await storedKey(context, namedKey);
  const { apiKey } = key;
  const secretId = named ?? onlySecretOf(key);
  const made = await manager.rotateSecret(apiKey, secretId, { graceMs, expiresAt }, { expectedVersion });
  showSecret(output, made, secretOnly);
  const old = made.key.secrets.find(({ id }) => id === secretId);
  const end = old?.expiresAt === undefined ? 'is dead' : `ends ${when(old.expiresAt)}`;
  output.note(`the old secret ${secretId} ${end}`);
}

async function revokeSecret(
  context: Context,
  named: string,
  secretId: string,
  { yes, expectVersion: expectedVersion }: RevokeOptions,
): Promise<void> {
  const { apiKey, secrets } = await storedKey(context, named);
  const secret = secrets.find(({ id }) => id === secretId);
  if (secret !== undefined) {
    const label = secret.label === '' ? '' : ` "${secret.label}"`;
    await confirm({
      yes,
      what: `This ends the secret ${secretId}${label} at once: requests with it are refused`,
      question: 'Type yes to do it:',
      accepts: (typed) => /^y(?:es)?$/i.test(typed),
    });
  }
  const key = await context.manager.revokeSecret(apiKey, secretId, { expectedVersion });
  const active = key.secrets.filter(({ state }) => state === 'active').length;
  showChange(context.output, key, `the secret ${secretId} is revoked, ${String(active)} active left`);
}

function onlySecretOf({ secrets }: KeyView): string {
  const [first, second] = secrets.filter(({ state }) => state === 'active');
  if (first !== undefined && second === undefined) return first.id;
  throw usage(
    first === undefined
      ? 'the key has no active secret to rotate; "secrets add" makes one'
      : `say which secret: ${secrets.map(({ id }) => id).join(', ')}`,
  );
}
