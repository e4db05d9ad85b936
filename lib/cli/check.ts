import type { Command } from 'commander';
import { likelyMeant } from '../allowlists/methods';
import { dryRun } from '../explain/dry-run';
import type { DryRun, DryRunCall, DryRunOptions, DryRunRequest, DryRunStep } from '../explain/dry-run';
import { doubtsOf } from '../keys/warnings';
import { parseRequestOptions } from '../options/request-options';
import { requestFacts } from '../request/request-facts';
import { API_KEY } from '../settings/api-key';
import { collect, examples, KEY_ARGUMENT } from './arguments';
import { askHidden, isAttended, readPiped } from './prompt';
import { parseCurlLine } from './parse-curl';
import type { CurlRequest } from './parse-curl';
import { CliError, EXIT, usage } from './exit';
import { paint, printable } from './output';
import { indent, table } from './table';
import type { Terminal } from './output';
import type { Cell } from './table';
import { readInputFile, readStdin } from './read-input';
import { findKey, withStore, readable } from './with-store';
import type { Context } from './with-store';
import { splitWords } from './shell-words';

interface CheckOptions {
  readonly header?: readonly string[];
  readonly data?: string;
  readonly curl?: string;
  readonly path: string;
  readonly blockedMethod?: readonly string[];
  readonly secretStdin?: boolean;
  /** `--secret`, `--no-secret` or neither. */
  readonly secret?: boolean;
}

/** The variable that secrets are read from, and that printed curl lines name. */
const SECRET = 'RPC_GUARD_SECRET';

export function addCheck(program: Command): void {
  const check = program.command('check').summary('tell what the guard would do with a request, step by step');
  check
    .description(
      'Tells what the guard would do with a request, and which entry decides. Nothing is sent anywhere. ' +
        'Without a key and --curl, a curl line is read from stdin.',
    )
    .argument('[key]', `${KEY_ARGUMENT}, of which -H and -d make a request`)
    .option('-H, --header <name: value>', 'a header of the request; repeatable', collect)
    .option('-d, --data <body>', 'its body; @file reads a file, - reads stdin')
    .option('--curl <line>', 'a whole curl line; a secret in it stays in the history of the shell')
    .option('--secret', `send a secret: that of ${SECRET}, or the one you are asked for`)
    .option('--no-secret', `send none, though ${SECRET} is set`)
    .option('--secret-stdin', 'send the secret that stdin holds')
    .option('--path <pattern>', "the guard's path option", '/v3/:apiKey')
    .option('--blocked-method <method>', "the guard's blockedMethods in place of its own; repeatable", collect)
    .action((key: string | undefined, options: CheckOptions, command: Command) =>
      withStore(command, (context) => runCheck(context, key, options)),
    );
  check.addHelpText(
    'after',
    '\nWithout --blocked-method the defaults are blocked, admin_* and so on. Its' +
      '\naddressParams, credits and bounds of a body cannot be given here.',
  );
  examples(
    check,
    `rpc-guard check $KEY -H 'Origin: https://a.example.com' \\`,
    `  -d '{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber"}'`,
    `rpc-guard check $KEY --secret -d @request.json`,
    'rpc-guard check < curl-line.txt',
    'rpc-guard check --json < curl-line.txt | jq .reason',
  );
}

async function runCheck(context: Context, key: string | undefined, options: CheckOptions): Promise<void> {
  const { store, output } = context;
  const rules = rulesOf(options);
  const made = key === undefined ? await fromCurl(options, rules) : await fromParts(key, options, rules);
  if (key === undefined) await store.init?.();
  const apiKey = key === undefined ? made.request.apiKey : ((await findKey(context, key))?.apiKey ?? key);
  const request = { ...made.request, apiKey };

  const settings = API_KEY.test(apiKey) ? await readable(apiKey, () => store.get(apiKey)) : undefined;
  const run = await dryRun(request, settings, rules, store.limits);
  const notes = [
    ...made.notes,
    ...(key === undefined || key === apiKey ? [] : [`the key is ${apiKey}`]),
    ...notesOnMethods(run),
    ...doubtsOf(settings?.allowlists ?? {}).map(({ message }) => message),
  ];
  for (const note of notes) output.note(note);
  output.result({ ...run, notes }, () => linesOf(run, output.terminal));
  if (!run.allowed) process.exitCode = EXIT.refused;
}

/** The steps of a refused call suggest what may be meant. */
function notesOnMethods({ calls }: DryRun): readonly string[] {
  const passing = calls.flatMap(({ method, allowed }) => (allowed && method !== null ? [method] : []));
  return [...new Set(passing)].flatMap((method) => {
    const meant = likelyMeant(method);
    return meant === undefined ? [] : [`${method} is no method that is known; did you mean ${meant}?`];
  });
}

/** The guard's own options, and what it takes for wrong in them. */
function rulesOf({ path, blockedMethod }: CheckOptions): DryRunOptions {
  try {
    const blocked = blockedMethod === undefined ? {} : { blockedMethods: blockedMethod };
    return parseRequestOptions('check', { path, ...blocked });
  } catch (error) {
    throw usage((error as Error).message.replace(/^.*\n/, ''));
  }
}

interface Checked {
  readonly request: DryRunRequest;
  readonly notes: readonly string[];
}

async function fromParts(
  apiKey: string,
  { header = [], data, curl, secret, secretStdin }: CheckOptions,
  { maxBodyBytes }: DryRunOptions,
): Promise<Checked> {
  if (curl !== undefined) throw usage('write a key or --curl, not both: the URL of the line holds the key');
  if (data === undefined)
    throw usage(`there is no body: write -d '{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber"}'`);
  if (data === '-' && secretStdin === true) throw usage('-d - and --secret-stdin cannot both read stdin');
  const headers = header.map(headerOf);
  const sent = await secretToSend(secret, secretStdin);
  if (sent !== undefined) headers.push(['Authorization', basic('', sent)]);
  const file = data.startsWith('@') ? data.slice(1) : undefined;
  const body =
    data === '-' ? await readStdin(maxBodyBytes) : file === undefined ? data : readInputFile(file, maxBodyBytes);
  return { request: { apiKey, headers, body }, notes: [] };
}

async function fromCurl(
  { curl, header, data, secret, secretStdin }: CheckOptions,
  rules: DryRunOptions,
): Promise<Checked> {
  if (header !== undefined || data !== undefined) throw usage('-H and -d need a key: write it first');
  if (curl === undefined && secretStdin === true)
    throw usage('--secret-stdin and the curl line cannot both read stdin');
  if (curl === undefined && isAttended()) process.stderr.write('Paste a curl line, then press Ctrl-D:\n');
  const line = curl ?? (await readStdin(rules.maxBodyBytes)).toString();

  const variables: Record<string, string> = {};
  const wanted = splitWords(line).variables.has(SECRET);
  const sent = await secretToSend(secret ?? (wanted ? undefined : false), secretStdin, wanted);
  if (sent !== undefined) variables[SECRET] = sent;
  const request = parseCurlLine(line, { variables, readFile: readingAtMost(rules.maxBodyBytes) });
  const { path, method, user, body = '', notes } = request;
  assertPost(method);
  const { apiKey, mount } = keyIn(path, rules);
  const headers = [...request.headers];
  const credentials = await credentialsOf(user, sent);
  if (credentials !== undefined) headers.push(['Authorization', credentials]);
  const more = [
    ...(mount === '' ? [] : [`taken for the guard's mount point: ${mount}`]),
    ...(headers.some(([name, value]) => name === 'User-Agent' && value === 'curl/8.0.0')
      ? ["User-Agent: curl/8.0.0 stands for your curl's own"]
      : []),
  ];
  return { request: { apiKey, headers, body }, notes: [...notes, ...more] };
}

async function credentialsOf(user: CurlRequest['user'], sent: string | undefined): Promise<string | undefined> {
  if (user === undefined) return sent === undefined ? undefined : basic('', sent);
  const password = user.password ?? sent ?? (await secretToSend(true, false));
  return basic(user.name, password ?? '');
}

/** A secret is never an argument: the history of the shell and the list of processes would have it. */
async function secretToSend(
  wants: boolean | undefined,
  isOnStdin: boolean | undefined,
  isNamed = false,
): Promise<string | undefined> {
  if (isOnStdin === true) {
    const secret = await readPiped();
    if (secret !== '') return secret;
    throw usage('--secret-stdin: stdin holds no secret');
  }
  if (wants === false) return undefined;
  const secret = process.env[SECRET];
  if (secret !== undefined && secret !== '') return secret;
  if (wants !== true && !isNamed) return undefined;
  if (!isAttended()) throw usage(`there is no secret to send: set ${SECRET}, or write --secret-stdin`);
  return askHidden('Secret (not shown): ');
}

function basic(name: string, password: string): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
}

function headerOf(text: string): [string, string] {
  const colon = text.indexOf(':');
  if (colon > 0) return [text.slice(0, colon).trim(), text.slice(colon + 1).trim()];
  throw usage(`-H takes a name and a value, such as 'Origin: https://app.example.com'`);
}

/** Bytes of all files together: a line may name a file many times. */
function readingAtMost(maxBytes: number): (path: string) => Buffer {
  let left = maxBytes;
  return (path) => {
    const content = readInputFile(path, left);
    left -= content.length;
    return content;
  };
}

function assertPost(method: string): void {
  if (method === 'POST') return;
  if (method === 'OPTIONS')
    throw usage('OPTIONS is a CORS preflight: the guard answers it before it looks at any rule');
  const text = `the line makes a ${method} request: 405 METHOD_NOT_POST, only POST is allowed`;
  throw new CliError('ERR_RPC_GUARD_REFUSED', EXIT.refused, text);
}

/** The key, where the path is the guard's or ends in it: an application may mount the guard anywhere. */
function keyIn(path: string, { path: pattern }: DryRunOptions): { readonly apiKey: string; readonly mount: string } {
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) {
    const facts = requestFacts({ url: path.slice(at), headers: {}, rawHeaders: [] }, pattern);
    if (facts !== undefined) return { apiKey: facts.apiKey, mount: path.slice(0, at) };
  }
  const text = `${path} is not the guard's path ${pattern.before}:apiKey${pattern.after}; --path says another`;
  throw usage(text);
}

const COLUMNS = [
  { title: 'STEP' },
  { title: 'VERDICT' },
  { title: 'DECIDED BY', wraps: true },
  { title: 'WHY', wraps: true },
];

function linesOf(run: DryRun, terminal: Terminal): string[] {
  const { allowed, status, reason, wouldRefuse, message, steps, calls, limits, forwarded } = run;
  const verdict = allowed
    ? paint('Allowed', 'green', terminal)
    : `${paint('Refused', 'red', terminal)}: HTTP ${String(status)}, ${String(reason)}: ${message}`;
  const tableOf = (some: readonly DryRunStep[]) =>
    table(
      COLUMNS,
      some.map((step) => rowOf(step, terminal)),
      terminal,
    );
  return [
    ...tableOf(steps),
    ...calls.flatMap((call, at) => linesOfCall(call, at, calls.length, terminal)),
    ...(limits === null ? [] : ['', ...tableOf([limits])]),
    '',
    verdict,
    ...(wouldRefuse === null
      ? []
      : [paint(`Would be refused, were it not for lists that only report: ${wouldRefuse}`, 'yellow', terminal)]),
    ...(forwarded === null
      ? ['The upstream receives nothing.']
      : ['The upstream receives:', ...indent([printable(forwarded)])]),
  ];
}

function linesOfCall({ method, id, steps }: DryRunCall, at: number, of: number, terminal: Terminal): string[] {
  const called = method === null ? 'not a call' : `${method}, ${id === null ? 'without an id' : `id ${id}`}`;
  const title = printable(`Call ${String(at + 1)} of ${String(of)}: ${called}`);
  return [
    '',
    paint(title, 'bold', terminal),
    ...table(
      COLUMNS,
      steps.map((step) => rowOf(step, terminal)),
      terminal,
    ),
  ];
}

/** A word beside each mark: for screen readers, and for terminals without the mark. */
const VERDICTS = {
  pass: { mark: '✓', colour: 'green' },
  refuse: { mark: '✗', colour: 'red' },
  skip: { mark: '–', colour: 'dim' },
  'would refuse': { mark: '!', colour: 'yellow' },
} as const;

function rowOf({ step, outcome, reason, entry, why }: DryRunStep, { hasUnicode }: Terminal): Cell[] {
  const { mark, colour } = VERDICTS[outcome];
  const word = hasUnicode ? `${mark} ${outcome}` : outcome;
  return [step, { text: word, colour }, entry ?? '', reason === null ? why : `${reason}: ${why}`];
}
