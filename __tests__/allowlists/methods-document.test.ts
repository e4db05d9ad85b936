import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as readers from '../../lib/allowlists/address-readers';
import type { Kind } from '../../lib/allowlists/address-readers';
import { METHOD_ROWS, READS } from '../../lib/allowlists/address-table';
import type { MethodRow } from '../../lib/allowlists/address-table';

const DOCUMENT = join(__dirname, '..', '..', 'docs', 'methods.md');
const TABLE = /^\| method .*\n(?:\|.*\n)+/m;
const HEADER = ['method', 'addresses queried', 'only reads'];

const WORDS: ReadonlyMap<Kind, string> = new Map<Kind, string>([
  [readers.account, 'the address'],
  [readers.accountsBySlots, 'each account'],
  [readers.assetTransfers, '`fromAddress`, `toAddress`, `contractAddresses`: those named, one at least'],
  [readers.bundles, '`to` of each call'],
  [readers.callAndSender, '`to` and `from`'],
  [readers.calls, '`to` of each call'],
  [readers.callTo, '`to`'],
  [readers.conditions, 'each of `knownAccounts`'],
  [readers.debuggedCall, '`to`; for a prestate `from` and `accessList` too'],
  [readers.logFilter, '`address`, one or many'],
  [readers.optionalAccount, 'the address, if there is one'],
  [readers.simulation, '`to` of each call; `from` too if validated or returned in full'],
  [readers.subscriptionOptions, '`address` of `logs`, one or many; none for others'],
  [readers.tokenAllowance, '`contract`, `owner` and `spender`'],
  [readers.tokens, 'each token named'],
  [readers.tracedCall, '`to`; for `stateDiff` `from` and `accessList` too'],
  [readers.tracedCalls, '`to` of each call; for `stateDiff` `from` and `accessList` too'],
  [readers.traceFilter, '`fromAddress`, `toAddress`: those named, one at least'],
  [readers.userOperation, '`sender`, its factory and paymaster'],
]);

function rowOf([method, repeat, ...kinds]: MethodRow): readonly string[] {
  const queried = kinds.map((kind) => WORDS.get(kind)).filter((words) => words !== undefined);
  return [`\`${method}\``, queried.join('; ') || 'none', repeat === READS ? 'yes' : 'no'];
}

function tableText(): string {
  const rows = [...METHOD_ROWS].sort(([a], [b]) => (a < b ? -1 : 1)).map(rowOf);
  const widths = HEADER.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, n) => cell.padEnd(widths[n]!)).join(' | ')} |\n`;
  return [HEADER, widths.map((width) => '-'.repeat(width)), ...rows].map(line).join('');
}

test('docs/methods.md has a line for each method: what it queries, and whether it only reads', () => {
  const text = readFileSync(DOCUMENT, 'utf8');
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(DOCUMENT, text.replace(TABLE, tableText));
  expect(TABLE.exec(readFileSync(DOCUMENT, 'utf8'))?.[0]).toBe(tableText());
});

test('has words for every kind of position that queries addresses', () => {
  const example = { to: 'x', from: 'x', address: 'x', sender: 'x', contract: 'x', owner: 'x', spender: 'x' };
  const more = {
    fromAddress: 'x',
    contractAddresses: 'x',
    blockStateCalls: [{ calls: [example] }],
    knownAccounts: { x: 0 },
  };
  const shapes = [
    '0x1',
    { ...example, ...more },
    [{ to: 'x' }],
    [{ transactions: [example] }],
    [[example, []]],
    { x: [] },
  ];
  const used = new Set(METHOD_ROWS.flatMap(([, , ...kinds]) => kinds));
  const querying = [...used].filter((kind) => shapes.some((shape) => (kind(shape, ['logs', [], {}]) ?? []).length > 0));
  expect(new Set(querying)).toEqual(new Set(WORDS.keys()));
});
