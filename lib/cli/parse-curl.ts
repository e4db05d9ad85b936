import { usage } from './exit';
import { splitWords } from './shell-words';
import type { ShellWords } from './shell-words';

/** The request that a curl line would send. */
export interface CurlRequest {
  /** The URL's path as it is written, without query. */
  readonly path: string;
  readonly method: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer | undefined;
  /** Of `--user` and of the URL; `password` is `undefined` where curl would ask for it. */
  readonly user: { readonly name: string; readonly password: string | undefined } | undefined;
  /** The parts of the line that were ignored, for people. */
  readonly notes: readonly string[];
}

export interface CurlLineOptions {
  /** Values of variables that the line may name; others stay as they are written. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Reads what `-d @file` names. */
  readonly readFile: (path: string) => Buffer;
}

/** What curl sends by itself; its version differs from machine to machine. */
const USER_AGENT = 'curl/8.0.0';

const DATA = names('-d --data --data-ascii --data-raw --data-binary --json');
const FOLLOWED = new Set([
  ...DATA,
  ...names('-H --header -u --user -A --user-agent -e --referer -X --request --url --oauth2-bearer'),
]);
/** Ignored options that take an argument, which must not be taken for a URL. */
const WITH_ARGUMENT = names(`
  -b -c -C -D -E -h -m -o -P -Q -r -t -U -w -x -y -Y -z --cacert --capath --cert --cert-type --ciphers --connect-timeout
  --connect-to --cookie --cookie-jar --dns-servers --doh-url --dump-header --expect100-timeout --interface
  --keepalive-time --key --limit-rate --max-redirs --max-time --noproxy --output --pass --pinnedpubkey --proto --proxy
  --proxy-user --range --rate --resolve --retry --retry-delay --retry-max-time --stderr --tls-max --trace --trace-ascii
  --unix-socket --write-out`);
/** Options that would change the request in ways not supported. */
const NOT_POSSIBLE = names(`
  -F --form --form-string -T --upload-file --data-urlencode -G --get -K --config -: --next --aws-sigv4 --variable
  --url-query`);
/** Options that change nothing the guard decides on. */
const HARMLESS = names(`
  -I --head -s --silent -S --show-error -v --verbose -i --include --show-headers -k --insecure -f --fail --fail-with-body
  -L --location --compressed -4 -6 -N --no-buffer --http1.1 --http2 --http2-prior-knowledge -# --progress-bar -g --globoff
  --basic`);

function names(list: string): ReadonlySet<string> {
  return new Set(list.trim().split(/\s+/));
}

/** @throws CliError when it is no curl line, or one whose request cannot be told from it. */
export function parseCurlLine(line: string, { variables = {}, readFile }: CurlLineOptions): CurlRequest {
  const split = splitWords(line.trim(), variables);
  const { words } = split;
  const [program = '', ...args] = words[0] === '$' ? words.slice(1) : words;
  if (!/^(?:.*\/)?curl(?:\.exe)?$/.test(program)) throw usage('not a curl line: it does not begin with curl');

  const options = optionsOf(args);
  const [url] = valuesOf(options, '--url');
  if (url === undefined) throw usage('the curl line has no URL');
  const { userInfo, host, path } = partsOf(url);
  const data = options
    .filter(({ option }) => DATA.has(option))
    .map(({ option, value }) => dataOf(option, value, readFile));
  const isJson = valuesOf(options, '--json').length > 0;

  const notes = notesOf(options, split, variables);
  const headers = headersOf(ownHeaders(options, host, data.length > 0), valuesOf(options, '-H', '--header'), notes);
  const hasAuthorization = headers.some(([name]) => name.toLowerCase() === 'authorization');
  const user = valuesOf(options, '-u', '--user').at(-1) ?? userInfo;
  return {
    path,
    method: valuesOf(options, '-X', '--request').at(-1) ?? methodByItself(options, data.length > 0),
    headers,
    body: data.length > 0 ? joined(data, isJson) : undefined,
    user: user === undefined || hasAuthorization ? undefined : userOf(user),
    notes,
  };
}

/** The headers that curl sends by itself. */
function ownHeaders(options: readonly CurlOption[], host: string, hasData: boolean): [string, string][] {
  const isJson = valuesOf(options, '--json').length > 0;
  const own: [string, string][] = [
    ['Host', host],
    ['User-Agent', valuesOf(options, '-A', '--user-agent').at(-1) ?? USER_AGENT],
    ['Accept', isJson ? 'application/json' : '*/*'],
  ];
  if (hasData) own.push(['Content-Type', isJson ? 'application/json' : 'application/x-www-form-urlencoded']);
  const bearer = valuesOf(options, '--oauth2-bearer').at(-1);
  if (bearer !== undefined) own.push(['Authorization', `Bearer ${bearer}`]);
  return own;
}

function methodByItself(options: readonly CurlOption[], hasData: boolean): string {
  if (valuesOf(options, '-I', '--head').length > 0) return 'HEAD';
  return hasData ? 'POST' : 'GET';
}

function notesOf(
  options: readonly CurlOption[],
  { variables: named, rest }: ShellWords,
  given: Readonly<Record<string, string>>,
): string[] {
  const notes = options
    .filter(({ option }) => !FOLLOWED.has(option) && !HARMLESS.has(option))
    .map(({ option }) => `ignored: curl's ${option}`);
  if (valuesOf(options, '--url').length > 1) notes.push('ignored: further URLs');
  if (rest !== '') notes.push('ignored: what follows the curl command');
  const unknown = [...named].filter((name) => !Object.hasOwn(given, name));
  if (unknown.length > 0) notes.push(`not expanded: ${unknown.map((name) => `$${name}`).join(', ')}`);
  return notes;
}

/** The values of an option, by each of its names, in order. */
function valuesOf(options: readonly CurlOption[], ...names: readonly string[]): readonly string[] {
  return options.flatMap(({ option, value }) => (names.includes(option) ? [value] : []));
}

interface CurlOption {
  readonly option: string;
  /** `''` where it takes none. */
  readonly value: string;
}

/** Arguments that are no options are URLs. */
function optionsOf(args: readonly string[]): readonly CurlOption[] {
  const options: CurlOption[] = [];
  const rest = [...args];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    if (!argument.startsWith('-')) {
      options.push({ option: '--url', value: argument });
      continue;
    }
    for (const { option, value } of lettersOf(argument)) {
      if (NOT_POSSIBLE.has(option)) throw usage(`curl's ${option} is not followed here; give the body with -d`);
      if (!FOLLOWED.has(option) && !WITH_ARGUMENT.has(option)) {
        options.push({ option, value: '' });
        continue;
      }
      const taken = value === '' ? rest.shift() : value;
      if (taken === undefined) throw usage(`curl's ${option} needs an argument`);
      options.push({ option, value: taken });
      break;
    }
  }
  return options;
}

/** `-sSd` is three options, and what follows the one that takes an argument is that. */
function lettersOf(argument: string): readonly CurlOption[] {
  if (argument.startsWith('--')) return [{ option: argument, value: '' }];
  return Array.from(argument.slice(1), (letter, at) => ({ option: `-${letter}`, value: argument.slice(at + 2) }));
}

/** Given headers replace curl's own; `Name:` removes one, `Name;` sends it empty. */
function headersOf(own: readonly [string, string][], given: readonly string[], notes: string[]): [string, string][] {
  const replaced = new Set<string>();
  const added: [string, string][] = [];
  for (const header of given) {
    const [, name, mark, value = ''] = /^([^:;@\s][^:;]*)([:;])([^]*)$/.exec(header) ?? [];
    if (name === undefined) {
      notes.push('ignored: a header without a name, or from a file');
      continue;
    }
    replaced.add(name.trim().toLowerCase());
    if (mark === ';' || value.trim() !== '') added.push([name.trim(), mark === ';' ? '' : value.trim()]);
  }
  return [...own.filter(([name, value]) => value !== '' && !replaced.has(name.toLowerCase())), ...added];
}

function userOf(value: string): NonNullable<CurlRequest['user']> {
  const colon = value.indexOf(':');
  if (colon === -1) return { name: value, password: undefined };
  return { name: value.slice(0, colon), password: value.slice(colon + 1) };
}

/** curl strips newlines from the file that `-d` names, and from no other. */
function dataOf(option: string, value: string, readFile: CurlLineOptions['readFile']): Buffer {
  if (option === '--data-raw' || !value.startsWith('@')) return Buffer.from(value);
  const content = readFile(value.slice(1));
  const isExact = option === '--data-binary' || option === '--json';
  return isExact ? content : Buffer.from(content.filter((byte) => byte !== 0x0a && byte !== 0x0d && byte !== 0));
}

/** curl puts `&` between the arguments of `-d`, and nothing between those of `--json`. */
function joined(data: readonly Buffer[], isJson: boolean): Buffer {
  const between = isJson ? Buffer.alloc(0) : Buffer.from('&');
  return Buffer.concat(data.flatMap((part, at) => (at === 0 ? [part] : [between, part])));
}

interface UrlParts {
  /** `name:password`, decoded. */
  readonly userInfo: string | undefined;
  readonly host: string;
  readonly path: string;
}

function partsOf(url: string): UrlParts {
  const [, authority = '', path = ''] = /^(?:[a-z][a-z0-9+.-]*:\/\/)?([^/?#]*)([^?#]*)/i.exec(url) ?? [];
  const at = authority.lastIndexOf('@');
  const userInfo = at === -1 ? undefined : decoded(authority.slice(0, at));
  return { userInfo, host: authority.slice(at + 1), path: path === '' ? '/' : path };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
