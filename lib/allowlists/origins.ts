import { domainToASCII, domainToUnicode } from 'node:url';
import type { RequestAllowlist } from './allowlist';

/** `scheme` and `port` are `''` where the origin has none; an entry's port may be `*`. */
interface Origin {
  readonly scheme: string;
  readonly host: string;
  readonly port: string;
}

const ORIGIN = /^(?:([a-z][a-z0-9+.-]*):\/\/)?([a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?$/;
const SCHEME_ALONE = /^([a-z][a-z0-9+.-]*):\/\/$/;
const ENTRY =
  /^((?:[a-z][a-z0-9+.-]*:\/\/)?)((?:\*\.|[a-z0-9_-]*\*[a-z0-9_-]*\.)?)([^\s:/?#@\\%*[\]]+|\[[0-9a-f:.]+\])((?::(?:[1-9][0-9]{0,4}|\*))?)$/;
const LOCAL = ['localhost', '127.0.0.1', '[::1]'];
/** Domains under which anyone can get a name. */
const SHARED = [
  ...['vercel.app', 'netlify.app', 'pages.dev', 'workers.dev', 'github.io', 'gitlab.io', 'web.app', 'firebaseapp.com'],
  ...['herokuapp.com', 'onrender.com', 'fly.dev', 'surge.sh', 'ngrok.io', 'ngrok-free.app', 'trycloudflare.com'],
  ...['ipfs.io', 'dweb.link', 'eth.limo', 'co.uk', 'com.au', 'com.br', 'co.jp', 'co.in', 'co.kr', 'com.cn', 'com.tr'],
];
const ASCII = /^[\x21-\x7e]*$/;
const NULL = 'null';
/** The origin of Electron's own pages. */
const APP = 'app://.';
const DEFAULT_PORTS: ReadonlyMap<string, string> = new Map([
  ['http', '80'],
  ['ws', '80'],
  ['https', '443'],
  ['wss', '443'],
  ['ftp', '21'],
]);

/**
 * An entry is `[scheme://]host[:port]`, `scheme://` alone, `app://.`, or `null`. `host` may begin with `*.` for one or
 * more labels, or hold one `*` in its first label (`my-app-*.vercel.app`) for one or more characters of that label.
 * No header matches nothing, nor does one that is not an origin. Matching compares strings, in time linear in the header.
 */
export const origins: RequestAllowlist<'ORIGIN_NOT_ALLOWED'> = {
  phase: 'request',
  title: 'Origins',
  one: 'origin',
  many: 'origins',
  field: 'Origin',
  help: 'The Origin header has to match one of these. “*.” stands for one or more subdomains, “my-app-*.” for previews.',
  first:
    'From then on requests without an Origin header are refused. Browsers send one; servers, mobile apps and ' +
    'command lines do not.',
  examples: ['https://*.example.com', 'https://app.example.com', 'localhost:*'],
  sample: { label: 'An Origin header', example: 'https://app.example.com' },
  flag: '--origin <origin>',
  aliases: ['origin'],
  refusal: 'ORIGIN_NOT_ALLOWED',
  ignoresCase: true,

  problem(entry) {
    if (entry === NULL || parseEntry(entry) !== undefined) return undefined;
    const [, origin = '', path = ''] = /^((?:[^:/?#]+:\/\/)?[^/?#]+)([/?#].*)$/s.exec(entry) ?? [];
    if (/:\/\/|\./.test(origin) && parseEntry(origin) !== undefined) {
      return `${path === '/' ? 'ends with a slash' : 'has a path'}, and an Origin header never does; write "${origin}"`;
    }
    const what = entry.includes('*') ? 'has a * in the wrong place' : 'is not an origin';
    return `${what}; write "https://app.example.com", "https://*.example.com:8443", "https://my-app-*.vercel.app", "localhost:*", "https://" or "null"`;
  },

  doubt(entry) {
    const [, , wildcard, host = '', port] = ENTRY.exec(entry.toLowerCase()) ?? [];
    if (LOCAL.includes(host) && port === '') {
      return `stands for the port of the scheme alone, 80 or 443: write "${entry}:*" for any port`;
    }
    const isWide = wildcard === '*.' && (!host.includes('.') || SHARED.includes(host));
    return isWide && !LOCAL.includes(host) ? `lets in whoever has a name under ${host}` : undefined;
  },

  compile(entries) {
    const allowsNull = entries.includes(NULL);
    const matchers = entries
      .filter((entry) => entry !== NULL)
      .map(parseEntry)
      .filter((matcher) => matcher !== undefined);
    return (origin) => {
      if (origin === NULL) return allowsNull;
      const parsed = parseOrigin(origin);
      return parsed !== undefined && matchers.some((matches) => matches(parsed));
    };
  },

  reads: ({ origin }) => origin,
  header: 'Origin',
};

/** An `Origin` header in one spelling; `undefined` for what is not an origin. */
export function originName(header: string): string | undefined {
  if (header === NULL) return NULL;
  const origin = parseOrigin(header);
  if (origin === undefined) return undefined;
  const { scheme, host, port } = origin;
  const isUsual = port === '' || port === DEFAULT_PORTS.get(scheme);
  return `${scheme === '' ? '' : `${scheme}://`}${host}${isUsual ? '' : `:${port}`}`;
}

function parseOrigin(written: string): Origin | undefined {
  if (!ASCII.test(written)) return undefined; // before lower case: that of the Kelvin sign is k
  const origin = written.toLowerCase();
  if (origin === APP) return { scheme: 'app', host: '.', port: '' };
  const scheme = SCHEME_ALONE.exec(origin)?.[1];
  if (scheme !== undefined) return DEFAULT_PORTS.has(scheme) ? undefined : { scheme, host: '', port: '' };
  const [, before = '', host, port = DEFAULT_PORTS.get(before) ?? ''] = ORIGIN.exec(origin) ?? [];
  return host === undefined || Number(port) > 65_535 ? undefined : { scheme: before, host, port };
}

function parseEntry(entry: string): ((origin: Origin) => boolean) | undefined {
  const written = entry.toLowerCase();
  if (written === APP) return ({ scheme, host }) => scheme === 'app' && host === '.';
  const alone = SCHEME_ALONE.exec(written);
  if (alone !== null) return ({ scheme }) => scheme === alone[1];

  const [, prefix, wildcard, name, suffix] = ENTRY.exec(written) ?? [];
  if (prefix === undefined || name === undefined || suffix === undefined) return undefined;
  const host = name.startsWith('[') ? ipv6(name) : asciiDomain(name);
  const whole = parseOrigin(prefix + host + (suffix === ':*' ? '' : suffix));
  if (host === '' || whole?.host !== host || (wildcard !== '' && host.startsWith('['))) return undefined;

  // `*example.com` is meant for subdomains, and would match evilexample.com.
  if (wildcard !== '' && wildcard !== '*.' && !host.includes('.')) return undefined;
  const isHost = hostMatcher(wildcard ?? '', host);
  const isScheme = (scheme: string) => whole.scheme === '' || scheme === whole.scheme;
  const isPort = ({ scheme, port }: Origin) => {
    if (suffix === ':*') return true;
    return port === (suffix === '' ? (DEFAULT_PORTS.get(scheme) ?? '') : whole.port);
  };
  return (origin) => isScheme(origin.scheme) && isHost(origin.host) && isPort(origin);
}

/** `*.` stands for one or more labels, a `*` within the first label for one or more of its characters. */
function hostMatcher(wildcard: string, host: string): (host: string) => boolean {
  if (wildcard === '') return (it) => it === host;
  if (wildcard === '*.') return (it) => it.endsWith(`.${host}`);
  const star = wildcard.indexOf('*');
  const head = wildcard.slice(0, star);
  const tail = wildcard.slice(star + 1) + host;
  return (it) =>
    it.length > head.length + tail.length &&
    it.startsWith(head) &&
    it.endsWith(tail) &&
    !it.slice(head.length, it.length - tail.length).includes('.');
}

/** `''` if it is not a domain. Newer versions of Node accept punycode that cannot be decoded. */
function asciiDomain(name: string): string {
  const domain = domainToASCII(name);
  return /(?:^|\.)xn--/.test(domainToUnicode(domain)) ? '' : domain;
}

function ipv6(bracketed: string): string {
  return URL.canParse(`http://${bracketed}`) ? new URL(`http://${bracketed}`).hostname : '';
}
