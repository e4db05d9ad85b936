import { Argument } from 'commander';
import type { Command, Option } from 'commander';
import { ALLOWLIST_TYPES } from '../allowlists';
import { KeyManager } from '../keys/key-manager';
import type { KeyView } from '../settings/key-view';
import { examples, kebab, parseListType } from './arguments';
import { openStore } from './open-store';
import { openOutput, printable } from './output';
import { findKey } from './with-store';
import { OUTCOMES } from './usage';
import { REASONS } from './refusals';
import type { Context } from './with-store';

/** What may stand where the cursor is, and what it is. */
interface Candidate {
  readonly word: string;
  readonly meaning: string;
}

/** A line as far as it was typed. */
interface Typed {
  /** The command that it has come to. */
  readonly command: Command;
  /** The arguments of that command so far. */
  readonly args: readonly string[];
  /** The option that waits for its value. */
  readonly option: Option | undefined;
  /** Where the keys are, if the line says so. */
  readonly store: string | undefined;
  readonly current: string;
}

/** A shell that waits for longer than a second seems to hang; Node.js takes its part of it to start. */
const ANSWER_MS = 500;
const MAX_KEYS = 100;
/** Other words would have to be quoted, each shell in its way. */
const PLAIN = /^[\w./:@*+,-]+$/;
const HIDDEN = 'complete';
/** Of options whose help would not be read if it named them all. */
const CHOICES: Readonly<Record<string, readonly string[]>> = { reason: REASONS, outcome: OUTCOMES };

const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_rpc_guard() {
  local line=\${COMP_LINE:0:COMP_POINT} cur words found
  read -ra words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  cur=\${words[\${#words[@]}-1]}
  COMPREPLY=()
  # Not an array of $(...): an entry such as eth_get* would be replaced by the names of files.
  while IFS=$'\\t' read -r found _; do COMPREPLY+=("$found"); done < <(rpc-guard ${HIDDEN} -- "\${words[@]:1}" 2>/dev/null)
  # bash takes a colon for the end of a word.
  if [[ $cur == *:* ]]; then COMPREPLY=("\${COMPREPLY[@]#"\${cur%"\${cur##*:}"}"}"); fi
}
complete -o default -F _rpc_guard rpc-guard`,
  zsh: `#compdef rpc-guard
_rpc_guard() {
  local -a found words_found shown
  local line
  found=("\${(@f)$(rpc-guard ${HIDDEN} -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in $found; do
    words_found+=("\${line%%$'\\t'*}")
    shown+=("\${line//$'\\t'/  -- }")
  done
  if (( \${#words_found} )); then compadd -l -d shown -a words_found; else _files; fi
}
compdef _rpc_guard rpc-guard`,
  fish: `function __rpc_guard_complete
  set -l words (commandline -opc) (commandline -ct)
  rpc-guard ${HIDDEN} -- $words[2..-1] 2>/dev/null
end
complete -c rpc-guard -f -a '(__rpc_guard_complete)'`,
};

/** Adds `completion`, which prints a shell's script, and the hidden command that the scripts call. */
export function addCompletion(program: Command): void {
  const completion = program
    .command('completion')
    .summary('print what makes a shell complete commands, keys and entries')
    .description('Prints what makes a shell complete commands, options, keys and entries.')
    .addArgument(new Argument('<shell>', 'your shell').choices(Object.keys(SCRIPTS)))
    .action((shell: string) => {
      openOutput(false).raw(SCRIPTS[shell]!);
    });
  examples(
    completion,
    'source <(rpc-guard completion bash)      # in ~/.bashrc',
    'source <(rpc-guard completion zsh)       # in ~/.zshrc, after compinit',
    'rpc-guard completion fish | source       # in ~/.config/fish/config.fish',
  );
  const complete = program
    .command(HIDDEN, { hidden: true })
    .description('Prints what may stand at the end of a line, for the scripts of completion.')
    .argument('[words...]', 'the line so far, without rpc-guard');
  examples(complete, "rpc-guard complete -- keys show ''");
  complete.action(async (words: readonly string[]) => {
    for (const { word, meaning } of await candidatesFor(program, words)) {
      openOutput(false).raw(meaning === '' ? word : `${word}\t${meaning}`);
    }
  });
}

/** Never fails: what cannot be found out is not offered. */
async function candidatesFor(program: Command, words: readonly string[]): Promise<readonly Candidate[]> {
  const typed = readWords(program, words);
  const found = await withinTime(valuesFor(typed));
  return found
    .filter(({ word }) => word.startsWith(typed.current) && PLAIN.test(word))
    .map(({ word, meaning }) => ({ word, meaning: printable(meaning) }));
}

function readWords(program: Command, words: readonly string[]): Typed {
  let command = program;
  let option: Option | undefined;
  let store: string | undefined;
  const args: string[] = [];
  for (const word of words.slice(0, -1)) {
    if (option !== undefined) {
      if (option.attributeName() === 'store') store = word;
      option = undefined;
    } else if (word.startsWith('-')) {
      const known = optionsOf(command).find(({ long, short }) => word === long || word === short);
      if (known?.required === true) option = known;
      if (word.startsWith('--store=')) store = word.slice('--store='.length);
    } else {
      const below = args.length === 0 ? visibleCommands(command).find((it) => it.name() === word) : undefined;
      if (below === undefined) args.push(word);
      else command = below;
    }
  }
  return { command, args, option, store, current: words.at(-1) ?? '' };
}

async function valuesFor(typed: Typed): Promise<readonly Candidate[]> {
  const { command, option, args, current } = typed;
  if (option !== undefined) {
    const choices = option.argChoices ?? CHOICES[option.attributeName()] ?? [];
    return choices.map((word) => ({ word, meaning: '' }));
  }
  if (current.startsWith('-')) {
    return optionsOf(command).map(({ long, description }) => ({ word: long ?? '', meaning: description }));
  }
  const below = visibleCommands(command).map((it) => ({ word: it.name(), meaning: it.summary() || it.description() }));
  if (below.length > 0) return args.length === 0 ? below : [];
  const expected = command.registeredArguments;
  const argument = expected[Math.min(args.length, expected.length - 1)];
  if (argument === undefined || (args.length >= expected.length && !argument.variadic)) return [];
  if (argument.argChoices !== undefined) return argument.argChoices.map((word) => ({ word, meaning: '' }));
  return storedValues(argument.name(), typed);
}

/** Keys, lists, secrets and entries, by what the argument is called. */
async function storedValues(argument: string, typed: Typed): Promise<readonly Candidate[]> {
  const [key = '', list = ''] = typed.args;
  if (argument === 'list') return ALLOWLIST_TYPES.map((type) => ({ word: kebab(type), meaning: '' }));
  if (argument === 'key') return withManager(typed, keysFor);
  const isToRemove = argument === 'entries' && typed.command.name() === 'remove';
  if (argument !== 'secret-id' && !isToRemove) return [];
  return withManager(typed, async (context) => {
    const found = await findKey(context, key);
    if (found === undefined) return [];
    if (argument === 'secret-id') return found.secrets.map(({ id, label }) => ({ word: id, meaning: label }));
    const given = typed.args.slice(2);
    const entries = found.allowlists[parseListType(list)].filter((entry) => !given.includes(entry));
    return entries.map((word) => ({ word, meaning: '' }));
  });
}

/** By name where the name is what was begun, else by the key. */
async function keysFor({ manager }: Context, current: string): Promise<readonly Candidate[]> {
  const { keys } = await manager.list({ ...(current !== '' && { search: current }), limit: MAX_KEYS });
  const isNamed = ({ name }: KeyView) => current !== '' && PLAIN.test(name) && name.startsWith(current);
  return keys.map((key) =>
    isNamed(key) ? { word: key.name, meaning: key.apiKey } : { word: key.apiKey, meaning: key.name },
  );
}

async function withManager(
  { store: named, current }: Typed,
  work: (context: Context, current: string) => Promise<readonly Candidate[]>,
): Promise<readonly Candidate[]> {
  const silent = { note: () => undefined, makesFile: false };
  const opened = await openStore(named ?? process.env['RPC_GUARD_STORE'], silent);
  const { store } = opened;
  try {
    return await work({ store, manager: new KeyManager(store), output: openOutput(true) }, current);
  } finally {
    await opened.close().catch(() => undefined);
  }
}

function optionsOf(command: Command): readonly Option[] {
  const help = command.createHelp();
  const ofProgram = command.parent === null ? [] : rootOf(command).options;
  return [...help.visibleOptions(command), ...ofProgram].filter(({ hidden }) => !hidden);
}

function visibleCommands(command: Command): readonly Command[] {
  return command.createHelp().visibleCommands(command);
}

function rootOf(command: Command): Command {
  return command.parent === null ? command : rootOf(command.parent);
}

async function withinTime(found: Promise<readonly Candidate[]>): Promise<readonly Candidate[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly Candidate[]>((resolve) => {
    timer = setTimeout(resolve, ANSWER_MS, []);
  });
  try {
    return await Promise.race([found, late]);
  } catch {
    return [];
  } finally {
    clearTimeout(timer);
  }
}
