import { METHOD_ROWS } from '../allowlists/address-table';
import type { MadeSecret } from '../keys/key-manager';
import { inShell, sampleRequest } from '../keys/sample-request';
import type { KeyView } from '../settings/key-view';
import { warningsOf } from '../keys/warnings';
import { usage } from './exit';
import { table } from './table';
import type { Output } from './output';
import { noteWarnings, when } from './show-key';

/** A secret goes to stdout this once. */
export function showSecret(output: Output, { key, secret, secretId }: MadeSecret, secretOnly = false): void {
  if (secretOnly) {
    output.note(`key ${key.apiKey}, secret ${secretId}`);
    output.raw(secret);
  } else {
    output.result({ key, secret, secretId, warnings: warningsOf(key) }, () => [
      ...table(
        [{ title: '' }, { title: '' }],
        [
          ['Key', key.apiKey],
          ...(key.name === '' ? [] : [['Name', key.name]]),
          ['Secret', secret],
          ['Secret ID', secretId],
          ['Expires', expiryOf(key, secretId)],
        ],
        output.terminal,
      ),
      '',
      'The secret is shown this once and kept nowhere. To call with it, and leave no',
      "trace of it in the shell's history:",
      '',
      '  read -rs RPC_GUARD_SECRET   # paste it, press Enter; nothing is shown',
      ...curlLines(key, secret),
    ]);
  }
  noteWarnings(output, key);
}

/** A call that the lists let pass. */
function curlLines(key: KeyView, secret: string): string[] {
  const { origin, userAgent, method } = sampleRequest(
    key,
    secret,
    METHOD_ROWS.map(([name]) => name),
  );
  return [
    '  curl --user ":$RPC_GUARD_SECRET" \\',
    ...(origin === undefined ? [] : [`    -H ${inShell(`Origin: ${origin}`)} \\`]),
    ...(userAgent === undefined ? [] : [`    -A ${inShell(userAgent)} \\`]),
    `    https://your-backend/v3/${key.apiKey} \\`,
    `    -d ${inShell(`{"jsonrpc":"2.0","id":1,"method":"${method}","params":[]}`)}`,
  ];
}

/** `--secret-only` and `--json` are two forms of one answer. */
export function assertOneForm(output: Output, secretOnly: boolean | undefined): void {
  if (secretOnly === true && output.isJson) throw usage('write --secret-only or --json, not both');
}

function expiryOf({ secrets }: KeyView, secretId: string): string {
  const expiresAt = secrets.find(({ id }) => id === secretId)?.expiresAt;
  return expiresAt === undefined ? 'never' : when(expiresAt);
}
