import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { toDocument } from '../keys/settings-document';
import type { KeyView } from '../settings/key-view';
import { KEY_ARGUMENT, examples } from './arguments';
import { usage } from './exit';
import { settingsText } from './settings-file';
import { allKeys, noteProblems, storedKey, withStore } from './with-store';
import type { Context } from './with-store';

interface ExportOptions {
  readonly all?: boolean;
  readonly output?: string;
}

export function addExport(keys: Command): void {
  const command = keys
    .command('export')
    .description('Prints the settings of a key, or of all keys, as a file for "keys apply" and "keys import".');
  command
    .argument('[key]', KEY_ARGUMENT)
    .option('--all', 'all keys')
    .option('--output <file>', 'write this file; .yaml and .yml are written as YAML, others as JSON')
    .action((named: string | undefined, options: ExportOptions, it: Command) =>
      withStore(it, (context) => exportKeys(context, named, options)),
    );
  command.addHelpText('after', '\nSecrets are not among them, nor their hashes: a file of settings may be shared.');
  examples(
    command,
    'rpc-guard keys export $KEY',
    'rpc-guard keys export --all --output keys.yaml',
    'rpc-guard keys export --all | git diff --no-index keys.json -',
  );
}

async function exportKeys(context: Context, named: string | undefined, { all, output }: ExportOptions): Promise<void> {
  if ((named === undefined) === (all !== true)) throw usage('write a key, or --all for all of them');
  const { keys } =
    named === undefined ? await allKeys(context, { sort: 'key' }) : { keys: [await storedKey(context, named)] };
  if (all === true) noteProblems(context.output, await context.manager.problems());
  const documents = keys.map(toDocument);
  const text = settingsText(named === undefined ? { keys: documents } : documents[0]!, output);
  if (output === undefined) context.output.raw(text.trimEnd());
  else writeFile(context, output, text, keys);
}

function writeFile({ output }: Context, path: string, text: string, keys: readonly KeyView[]): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw usage(`${path} cannot be written: ${String((error as NodeJS.ErrnoException).code)}`);
  }
  const count = `${String(keys.length)} ${keys.length === 1 ? 'key' : 'keys'}`;
  output.result({ output: path, keys: keys.length }, () => [`${path}: ${count}`]);
}
