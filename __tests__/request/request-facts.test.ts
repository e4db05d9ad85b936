import type { IncomingMessage } from 'node:http';
import { API_KEY, keyHint } from '../../lib/settings/api-key';
import { parseKeyPath } from '../../lib/request/key-path';
import { requestFacts } from '../../lib/request/request-facts';
import type { KeyPath } from '../../lib/request/key-path';
import type { RequestFacts } from '../../lib/request/request-facts';

const KEY = 'abcDEF_-0123';
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

function pathOf(pattern: string): KeyPath {
  const path = parseKeyPath(pattern);
  if (path === undefined) throw new Error(`no path: ${pattern}`);
  return path;
}

/** `headers` are pairs, as they stand on the wire; the parsed ones keep the first, as Node does with most that repeat. */
function factsFor(
  url: string,
  headers: readonly (readonly [string, string])[] = [],
  pattern = '/v3/:apiKey',
): RequestFacts | undefined {
  const parsed: Record<string, string> = {};
  for (const [name, value] of headers) parsed[name.toLowerCase()] ??= value;
  const req = { url, headers: parsed, rawHeaders: headers.flat() } as Partial<IncomingMessage>;
  return requestFacts(req as IncomingMessage, pathOf(pattern));
}

/** What the store could be asked for. */
function usableKey(url: string, pattern?: string): string | undefined {
  const apiKey = factsFor(url, [], pattern)?.apiKey;
  return apiKey !== undefined && API_KEY.test(apiKey) ? apiKey : undefined;
}

describe('the key in the path', () => {
  test.each([
    [`/v3/${KEY}`],
    [`/v3/${KEY}/`],
    [`/v3/${KEY}?`],
    [`/v3/${KEY}?apiKey=other123&x=/v3/other123`],
    [`/v3/${KEY}/?a=b`],
    [`http://host/v3/${KEY}`],
    [`HTTPS://host:8443/v3/${KEY}/?a=//b`],
    [`ws://[::1]/v3/${KEY}`],
    [`wss://a.example/v3/${KEY}`],
  ])('is read from %s', (url) => {
    expect(factsFor(url)?.apiKey).toBe(KEY);
  });

  test('keeps its case', () => {
    expect(factsFor('/v3/ABCDEFGH')?.apiKey).toBe('ABCDEFGH');
    expect(factsFor('/v3/abcdefgh')?.apiKey).toBe('abcdefgh');
  });

  test.each(['__proto__', 'constructor', 'hasOwnProperty', 'toString'])('may be named %s', (key) => {
    expect(usableKey(`/v3/${key}`)).toBe(key);
  });

  test.each(['/v3', '/v3/', '/v3?', '/v3/?', 'http://host/v3', `/v3?${KEY}`, `/v3/?apiKey=${KEY}`])(
    'is missing in %s',
    (url) => {
      expect(factsFor(url)?.apiKey).toBe('');
    },
  );

  test.each([
    `/v3/%61bcDEF_-0123`,
    `/v3/abcDEF%5F-0123`,
    `/%763/${KEY}`,
    `/v3%2F${KEY}`,
    `/v3/%2F${KEY}`,
    `//v3/${KEY}`,
    `/v3//${KEY}`,
    `/v3/${KEY}//`,
    `/v3/./${KEY}`,
    `/./v3/${KEY}`,
    `/x/../v3/${KEY}`,
    `/v3/x/../${KEY}`,
    `/V3/${KEY}`,
    `/v3/${KEY}/..`,
    `/v3/${KEY}/.`,
    `/v3/${KEY}/x`,
    `/v3/${KEY}/%2e%2e`,
    `/v3/${KEY};x`,
    `/v3;x/${KEY}`,
    `/v3/;${KEY}`,
    `/v3/${KEY}%00`,
    `/v3/${KEY}\0`,
    `/v3/${KEY}%20`,
    `/v3/${KEY} `,
    `/v3/ ${KEY}`,
    `/v3/${KEY}\t`,
    `/v3/${KEY}\n`,
    `/v3/${KEY}\r\n`,
    `/v3/${KEY}#x`,
    `/v3/${KEY}%3Fx`,
    `/v3/${KEY}%23`,
    `/v3/${KEY}.json`,
    `/v3/${KEY}&x`,
    `/v3/${KEY},${KEY}`,
    `/v3/:${KEY}`,
    `/v3/${KEY}:x`,
    `/v3\\${KEY}`,
    `\\v3\\${KEY}`,
    `v3/${KEY}`,
    ` /v3/${KEY}`,
    `/v3x/${KEY}`,
    `/v33/${KEY}`,
    `/v3/é${KEY}`,
    `/v3/ａｂｃDEF_-0123`,
    `/v3/abcDEF_\u20100123`,
    `/prefix/v3/${KEY}`,
    `http:///v3/${KEY}`,
    `http:/v3/${KEY}`,
    `http:v3/${KEY}`,
    `http://host//v3/${KEY}`,
    `http://host/x/v3/${KEY}`,
    `http://user@host/v3/${KEY}`,
    `http://host\\@x/v3/${KEY}`,
    `http://host?/v3/${KEY}`,
    `http://host#/v3/${KEY}`,
    `http://host/http://host/v3/${KEY}`,
    `http://http://host/v3/${KEY}`,
    `ftp://host/v3/${KEY}`,
    `xhttp://host/v3/${KEY}`,
    ` http://host/v3/${KEY}`,
    `//host/v3/${KEY}`,
    `?/v3/${KEY}`,
    `/?/v3/${KEY}`,
    `/v3?/${KEY}`,
    `*`,
    ``,
    `/`,
    `/v3/v3/${KEY}`,
  ])('is not that key in %j', (url) => {
    expect(usableKey(url)).toBeUndefined();
  });

  test.each([
    [7, false],
    [8, true],
    [128, true],
    [129, false],
    [1024 * 1024, false],
  ])('of %d characters is usable: %p', (length, usable) => {
    const key = 'a'.repeat(length);
    expect(usableKey(`/v3/${key}`)).toBe(usable ? key : undefined);
  });

  test('is not looked for on other paths', () => {
    const longer = [`/v3/${KEY}/x`, `/v3/x/${KEY}`, `/v3//${KEY}`, `/v3/${KEY}//`, `//v3/${KEY}`, `/V3/${KEY}`];
    for (const url of ['/', '/health', '/v1/abcdefgh', '/v3x', '/v', '/v2/', '/rpc/v3', ...longer]) {
      expect(factsFor(url)).toBeUndefined();
    }
  });
});

describe('a path pattern', () => {
  test.each([
    ['/:apiKey', `/${KEY}`],
    ['/:apiKey', `/${KEY}/`],
    ['/rpc/eth/:apiKey', `/rpc/eth/${KEY}`],
    ['/:apiKey/rpc', `/${KEY}/rpc`],
    ['/:apiKey/rpc', `/${KEY}/rpc/`],
    ['/a/:apiKey/b/c', `/a/${KEY}/b/c?x`],
  ])('%s finds the key in %s', (pattern, url) => {
    expect(usableKey(url, pattern)).toBe(KEY);
  });

  test.each([
    ['/:apiKey/rpc', `/${KEY}`],
    ['/:apiKey/rpc', `/${KEY}/x/rpc`],
    ['/:apiKey/rpc', `/${KEY}rpc`],
    ['/:apiKey/rpc', `/${KEY}/RPC`],
    ['/a/:apiKey/b', `/a/${KEY}/b/b`],
    ['/a/:apiKey/b', `/a/a/${KEY}/b`],
    ['/a.b/:apiKey', `/axb/${KEY}`],
  ])('%s finds none in %s', (pattern, url) => {
    expect(usableKey(url, pattern)).toBeUndefined();
  });

  test.each(['/', '/?x', '//'])('that is the key alone takes %s for a missing key or for nothing', (url) => {
    expect(usableKey(url, '/:apiKey')).toBeUndefined();
  });

  test.each([
    '',
    '/',
    '/v3',
    'v3/:apiKey',
    ':apiKey',
    '/v3/:apikey',
    '/v3/:key',
    '/v3/:apiKeys',
    '/v3/x:apiKey',
    '/:apiKey/:apiKey',
    '/:net/:apiKey',
    '/v3/:apiKey?',
    '/v3/*/:apiKey',
    '/v3/(.*)/:apiKey',
    '/v3//:apiKey',
    '/v3/:apiKey?x=1',
    '/v3/:apiKey#x',
    '/v 3/:apiKey',
    '/%76/:apiKey',
    'http://host/:apiKey',
  ])('may not be %j', (pattern) => {
    expect(parseKeyPath(pattern)).toBeUndefined();
  });
});

describe('a repeated header', () => {
  const unique = ['Host', 'Authorization', 'Origin', 'User-Agent', 'Content-Type', 'Content-Encoding'];

  test.each(unique)('is reported: %s', (name) => {
    for (const second of [name, name.toLowerCase(), name.toUpperCase()]) {
      for (const value of ['same', 'other', '']) {
        const facts = factsFor(`/v3/${KEY}`, [
          [name, 'same'],
          ['Accept', 'x'],
          [second, value],
        ]);
        expect(facts?.duplicateHeader).toBe(name.toLowerCase());
      }
    }
  });

  test('is not reported where each comes once', () => {
    const facts = factsFor(
      `/v3/${KEY}`,
      unique.map((name) => [name, name]),
    );
    expect(facts?.duplicateHeader).toBeUndefined();
  });

  test('is allowed where hops agree on it', () => {
    const facts = factsFor(`/v3/${KEY}`, [
      ['Accept', 'a'],
      ['Accept', 'b'],
      ['Cookie', 'a=1'],
      ['Cookie', 'b=2'],
    ]);
    expect(facts?.duplicateHeader).toBeUndefined();
  });

  test('is not a value that equals a header name', () => {
    const facts = factsFor(`/v3/${KEY}`, [
      ['Origin', 'Host'],
      ['Host', 'origin'],
      ['X-A', 'Host'],
    ]);
    expect(facts?.duplicateHeader).toBeUndefined();
  });

  test('is not a header named like an object member', () => {
    const facts = factsFor(`/v3/${KEY}`, [
      ['constructor', 'a'],
      ['constructor', 'b'],
      ['toString', 'c'],
    ]);
    expect(facts?.duplicateHeader).toBeUndefined();
  });
});

test('headers are taken as they came', () => {
  const facts = factsFor(`/v3/${KEY}`, [
    ['AUTHORIZATION', 'Basic  eDp5 '],
    ['Origin', 'HTTPS://A.example'],
    ['User-agent', 'Mozilla/5.0 (X; Android)'],
  ]);
  expect(facts).toMatchObject({
    authorization: 'Basic  eDp5 ',
    origin: 'HTTPS://A.example',
    userAgent: 'Mozilla/5.0 (X; Android)',
  });
});

describe('the request id', () => {
  test.each([
    'a',
    '0123456789',
    '2f1c1a9e-9f0b-4f3c-8a53-0f6d9a6b7c11',
    '01HZX3J5Q0S4M2R7T8V9W6Y1ZB',
    '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    'Root=1-67891233-abcdef012345678912345678',
  ])("is the caller's when it is sane: %s", (id) => {
    expect(factsFor(`/v3/${KEY}`, [['X-Request-Id', id]])?.requestId).toBe(id);
  });

  test.each([
    '',
    ' ',
    'a b',
    'a, b',
    '<script>alert(1)</script>',
    '"a"',
    "a'b",
    'a\r\nSet-Cookie: x=1',
    'a\nb',
    'a\0b',
    'a\x7fb',
    '\x1b[31mred',
    'é',
    '${jndi:ldap://x}',
    'a'.repeat(4096),
  ])('is a fresh one when it is not sane: %j', (id) => {
    expect(factsFor(`/v3/${KEY}`, [['X-Request-Id', id]])?.requestId).toMatch(UUID);
  });

  test('is fresh for each request without one', () => {
    const ids = Array.from({ length: 100 }, () => factsFor(`/v3/${KEY}`)?.requestId);
    expect(new Set(ids).size).toBe(100);
  });
});

describe('what may be logged of a key', () => {
  test.each([
    ['0123456789abcdef0123456789abcdef', '012345…'],
    ['abcdefgh', 'abcd…'],
    ['', '…'],
  ])('of %j is %s', (key, hint) => {
    expect(keyHint(key)).toBe(hint);
  });

  test('is never more than half of it', () => {
    for (let length = 0; length < 40; length++) {
      const shown = keyHint('k'.repeat(length)).replace('…', '');
      expect(shown.length).toBeLessThanOrEqual(length / 2);
    }
  });
});
