import type { Command } from 'commander';
import { makeProgram } from '../../lib/cli/program';

function everyCommand(command: Command, name = 'rpc-guard'): [string, Command][] {
  return [[name, command], ...command.commands.flatMap((it) => everyCommand(it, `${name} ${it.name()}`))];
}

/** The help as it is printed, with what is added below it. */
function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part) }).outputHelp();
  return text;
}

const commands = everyCommand(makeProgram());
const working = commands.filter(([, { commands: below }]) => below.length === 0);

test('the program has these commands', () => {
  expect(working.map(([name]) => name.replace('rpc-guard ', ''))).toEqual([
    'keys create',
    'keys list',
    'keys show',
    'keys update',
    'keys delete',
    'keys enable',
    'keys disable',
    'keys export',
    'keys apply',
    'keys import',
    'secrets add',
    'secrets update',
    'secrets rotate',
    'secrets revoke',
    'allow add',
    'allow remove',
    'check',
    'usage',
    'refusals',
    'suggest',
    'audit',
    'admin hash-password',
    'serve',
    'completion',
    'complete',
    'help',
  ]);
});

test.each(commands)('the help of %s fits 80 columns', (_name, command) => {
  expect(
    helpOf(command)
      .split('\n')
      .filter(({ length }) => length > 80),
  ).toEqual([]);
});

test.each(working)(
  'the help of %s says what it does, names --store and --json, and has an example',
  (name, command) => {
    const help = helpOf(command);
    expect(command.description()).toMatch(/^[A-Z].*\.$/s);
    expect(help).toContain('--store <store>');
    expect(help).toContain('--json');
    expect(help.split('Examples:')[1]).toContain(`\n  ${name} `);
  },
);

test('each command has a line in the help of the program, in lower case', () => {
  const program = makeProgram();
  const listed = program.createHelp().visibleCommands(program);
  expect(listed.filter((command) => !/^[a-z]/.test(command.summary())).map((command) => command.name())).toEqual([]);
});

test('the help of the program lists the exit codes and the stores', () => {
  const help = helpOf(makeProgram());
  for (const code of [0, 1, 2, 3, 4]) expect(help).toMatch(new RegExp(`^ {2}${code} {2}\\S`, 'm'));
  for (const store of ['file:', 'redis://', 'postgres://']) expect(help).toContain(store);
});

test('the help shows the default of --grace', () => {
  const rotate = commands.find(([name]) => name.endsWith('secrets rotate'));
  expect(helpOf(rotate![1])).toMatch(/--grace[^-]*\(default:\s+24h\)/);
});
