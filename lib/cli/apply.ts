import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { RpcGuardError } from '../errors';
import type { KeyChanges } from '../keys/changes';
import type { KeyManager } from '../keys/key-manager';
import type { KeyView } from '../settings/key-view';
import { compare } from '../keys/settings-document';
import type { Difference } from '../keys/settings-document';
import { doubtsOf, warningsOf } from '../keys/warnings';
import { keyHint } from '../settings/api-key';
import { examples } from './arguments';
import { usage } from './exit';
import { printable } from './output';
import type { Terminal } from './output';
import { confirm } from './prompt';
import { readSettingsFile } from './settings-file';
import { noteWarnings } from './show-key';
import { indent, table } from './table';
import { readable, withStore } from './with-store';
import type { Context } from './with-store';

interface ApplyOptions {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** The change to one key of the file. */
interface Plan {
  readonly apiKey: string | undefined;
  readonly name: string;
  /** The key as it is; `undefined` where it is new. */
  readonly before: KeyView | undefined;
  /** The version that the file expects; `undefined` for any. */
  readonly version: number | undefined;
  readonly changes: KeyChanges;
  readonly differences: readonly Difference[];
}

/** The result, for scripts. */
interface Applied {
  readonly key: KeyView;
  readonly isCreated: boolean;
  readonly differences: readonly Difference[];
  readonly secret?: string;
  readonly secretId?: string;
}

const ABOUT_FILES = `
The file is YAML or JSON: what "keys export" writes, or any part of it.
  keys:
    - apiKey: my-first-key
      name: my dapp
      requireSecret: false
      allowlists:
        origins: [https://app.example.com]
        methods: [eth_call, eth_get*]
Secrets stay as they are: of them a file holds nothing. A new key that requires
a secret gets one, and it is printed this once.`;

export function addApply(keys: Command): void {
  const apply = keys
    .command('apply')
    .description(
      'Makes keys what a file says: creates those that are missing, and changes of the others what differs.',
    );
  apply
    .argument('<file>', 'a .yaml, .yml or .json file; - reads stdin')
    .option('--dry-run', 'show what would change, and change nothing')
    .option('--yes', 'do it without being asked')
    .action((file: string, options: ApplyOptions, command: Command) =>
      withStore(command, (context) => applyFile(context, file, options), { makesFile: true }),
    );
  apply.addHelpText(
    'after',
    `${ABOUT_FILES}
What a key of the file leaves out stays, and so do keys that are not in it.
"limits: null" takes limits away. With "version: 7" nothing is changed unless
that is still the key's version.`,
  );
  examples(apply, 'rpc-guard keys apply keys.yaml --dry-run', 'rpc-guard keys apply keys.yaml --yes');
}

export function addImport(keys: Command): void {
  const command = keys
    .command('import')
    .description('Creates the keys of a file: all of them or, where one is there already or wrong, none.');
  command
    .argument('<file>', 'a .yaml, .yml or .json file; - reads stdin')
    .action((file: string, _options: object, it: Command) =>
      withStore(it, (context) => importFile(context, file), { makesFile: true }),
    );
  command.addHelpText('after', `${ABOUT_FILES}\nWithout apiKey a key gets a fresh one.`);
  examples(
    command,
    'rpc-guard keys import keys.json',
    'rpc-guard keys export $KEY | rpc-guard keys import - --store …',
  );
}

async function applyFile(context: Context, file: string, { dryRun, yes }: ApplyOptions): Promise<void> {
  const plans = await plansOf(context, file);
  const nameless = plans.filter(({ apiKey }) => apiKey === undefined).length;
  if (nameless > 0) {
    throw usage(
      `${file}: ${String(nameless)} of its keys without apiKey; write "apiKey": "my-first-key", the key to change`,
    );
  }
  const due = plans.filter(({ before, differences }) => before === undefined || differences.length > 0);
  for (const plan of due) assertExpected(plan, file);
  const { output } = context;
  const lines = () => due.flatMap((plan) => linesOfPlan(plan, output.terminal));
  if (dryRun === true) {
    output.result({ keys: due.map(planned) }, lines);
    for (const { apiKey, changes } of due) {
      const doubts = doubtsOf(changes.allowlists ?? {});
      for (const { message } of doubts) output.note(`warning: ${keyHint(String(apiKey))}: ${message}`);
    }
  } else if (due.length > 0) {
    const isAsked = yes !== true;
    if (isAsked) for (const line of lines()) output.note(line);
    await confirm({
      yes,
      what: `This ${sumOf(due)}`,
      question: 'Type yes to do it:',
      accepts: (typed) => /^y(?:es)?$/i.test(typed),
    });
    await carryOut(context, due, isAsked ? () => [] : lines);
  } else {
    output.result({ keys: [] }, () => []);
  }
  if (due.length === 0) output.note(`nothing differs from ${file}`);
}

async function importFile(context: Context, file: string): Promise<void> {
  const plans = await plansOf(context, file);
  const taken = plans.find(({ before }) => before !== undefined)?.apiKey;
  if (taken !== undefined) {
    const message = `the key ${keyHint(taken)} exists already; "rpc-guard keys apply ${file}" changes it`;
    throw new RpcGuardError('ERR_RPC_GUARD_KEY_EXISTS', message);
  }
  await carryOut(context, plans, () => []);
}

async function plansOf({ manager, output }: Context, file: string): Promise<readonly Plan[]> {
  const plans: Plan[] = [];
  for (const { apiKey, changes, version, ignored } of readSettingsFile(file)) {
    const before = apiKey === undefined ? undefined : await readable(apiKey, () => manager.get(apiKey));
    const compared = before === undefined ? { changes, differences: [] } : compare(before, changes);
    plans.push({ ...compared, apiKey, before, version, name: before?.name ?? changes.name ?? '' });
    const which = apiKey === undefined ? '' : ` of ${keyHint(apiKey)}`;
    if (ignored.includes('secrets')) output.note(`${file}: the secrets${which} are not taken; they stay as they are`);
  }
  return plans;
}

function assertExpected({ apiKey = '', before, version }: Plan, file: string): void {
  if (version === undefined || before?.version === version) return;
  const found = before === undefined ? 'is not there' : `is version ${String(before.version)} by now`;
  const problem = `the key ${keyHint(apiKey)} ${found}, and ${file} says version: ${String(version)}`;
  const message = `${problem}; nothing is changed: look at the key, then leave out version`;
  throw new RpcGuardError('ERR_RPC_GUARD_STALE_WRITE', message);
}

/** Applies each change to the key as it was shown, and stops if another change came between. */
async function carryOut(
  { manager, output }: Context,
  plans: readonly Plan[],
  linesBefore: () => readonly string[],
): Promise<void> {
  const done: Applied[] = [];
  try {
    const group = randomBytes(6).toString('hex');
    for (const plan of plans) done.push(await carryOutOne(manager, plan, group));
  } finally {
    // A new secret is printed, whatever happened to the keys after it.
    if (done.length > 0) {
      const keys = done.map((it) => ({ ...it, warnings: warningsOf(it.key) }));
      output.result({ keys }, () => [...linesBefore(), ...done.flatMap(linesOfDone)]);
    }
    for (const { key } of done) noteWarnings(output, key, keyHint(key.apiKey));
  }
}

async function carryOutOne(manager: KeyManager, plan: Plan, group: string): Promise<Applied> {
  const { apiKey, before, changes, differences } = plan;
  const part = { group, isImport: true };
  if (before === undefined)
    return { ...(await manager.create({ ...changes, apiKey }, part)), isCreated: true, differences };
  const key = await manager.update(before.apiKey, changes, { ...part, expectedVersion: before.version });
  return { key, isCreated: false, differences };
}

function planned({ apiKey, before, changes, differences }: Plan): object {
  return { apiKey, isCreated: before === undefined, differences, changes };
}

function sumOf(plans: readonly Plan[]): string {
  const created = plans.filter(({ before }) => before === undefined).length;
  const changed = plans.length - created;
  const keys = (count: number) => `${String(count)} ${count === 1 ? 'key' : 'keys'}`;
  return [created > 0 ? [`creates ${keys(created)}`] : [], changed > 0 ? [`changes ${keys(changed)}`] : []]
    .flat()
    .join(' and ');
}

function linesOfPlan({ apiKey = '', name, before, differences }: Plan, terminal: Terminal): string[] {
  const which = printable(name === '' ? apiKey : `${apiKey} (${name})`);
  if (before === undefined) return [`${which}: new`];
  const rows = differences.flatMap(({ at, words }) => words.map((word, line) => [line === 0 ? at : '', word]));
  const narrower = { ...terminal, width: terminal.width - 2 };
  return [which, ...indent(table([{ title: '' }, { title: '', wraps: true }], rows, narrower))];
}

function linesOfDone({ key, isCreated, secret, secretId }: Applied): string[] {
  const { apiKey, name, version } = key;
  const which = name === '' ? apiKey : `${apiKey} (${name})`;
  const did = printable(`${which}, version ${String(version)}: ${isCreated ? 'created' : 'changed'}`);
  if (secret === undefined) return [did];
  return [did, `  its secret ${String(secretId)}, shown this once: ${secret}`];
}
