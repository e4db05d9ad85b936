import type { AddressInfo } from 'node:net';
import express from 'express';
import { MemoryStore, rpcGuard } from '../../lib';
import type { RpcGuardOptions } from '../../lib';
import { RpcGuardError } from '../../lib/errors';
import { parseOptions } from '../../lib/options/options';
import { DEFAULT_BLOCKED_METHODS } from '../../lib/allowlists/default-blocked-methods';
import { endAfterTest } from '../support/cleanup';
import { rpcCall, thrownBy } from '../support/pieces';

const NEEDED = { upstream: 'http://127.0.0.1:8545', store: new MemoryStore() };

function parsed(more: Partial<RpcGuardOptions> = {}): ReturnType<typeof parseOptions> {
  return parseOptions({ ...NEEDED, ...more });
}

function problemOf(options: unknown): string {
  const error = thrownBy(() => parseOptions(options as RpcGuardOptions));
  expect(error).toBeInstanceOf(RpcGuardError);
  expect(error.code).toBe('ERR_RPC_GUARD_OPTIONS');
  return error.message;
}

const lineOf = (message: string, option: string) =>
  message.split('\n').filter((line) => line.trimStart().startsWith(`${option}:`));

describe('options of an upstream and a store alone', () => {
  test('get the documented defaults', () => {
    expect(parsed()).toMatchObject({
      path: { before: '/v3/', after: '' },
      wsPath: { before: '/ws/v3/', after: '' },
      maxBodyBytes: 2 * 1024 * 1024,
      maxBatchSize: 1000,
      bodyTimeoutMs: 10_000,
      upstreamTimeoutMs: 30_000,
      staleIfErrorMs: 60_000,
      cors: true,
      exposeReason: true,
    });
  });

  test.each(['admin', 'personal', 'miner', 'engine', 'clique', 'les', 'db', 'shh', 'ethstats'])(
    'block the namespace %s',
    (namespace) => {
      const { isBlocked } = parsed();
      expect(isBlocked(`${namespace}_anything`)).toBe(true);
      expect(isBlocked(`${namespace}_`)).toBe(true);
      expect(isBlocked(namespace)).toBe(false);
      expect(isBlocked(`x${namespace}_anything`)).toBe(false);
    },
  );

  test('block nothing that a client needs', () => {
    const { isBlocked } = parsed();
    for (const method of [
      'eth_call',
      'eth_sendRawTransaction',
      'net_version',
      'web3_clientVersion',
      'debug_traceCall',
    ]) {
      expect(isBlocked(method)).toBe(false);
    }
  });

  test('treat undefined as left out', () => {
    const options: Record<string, unknown> = { ...NEEDED, maxBatchSize: undefined, cors: undefined, path: undefined };
    expect(parseOptions(options as unknown as RpcGuardOptions)).toMatchObject({ maxBatchSize: 1000, cors: true });
  });
});

describe('blockedMethods', () => {
  test('replace the default', () => {
    const { isBlocked } = parsed({ blockedMethods: ['eth_sign', 'debug_*'] });
    expect(['eth_sign', 'debug_x', 'ETH_SIGN'].every(isBlocked)).toBe(true);
    expect(['eth_signTransaction', 'admin_peers'].some(isBlocked)).toBe(false);
  });

  test('may extend it, or be empty', () => {
    expect(parsed({ blockedMethods: [...DEFAULT_BLOCKED_METHODS, 'x_y'] }).isBlocked('admin_peers')).toBe(true);
    expect(parsed({ blockedMethods: [] }).isBlocked('admin_peers')).toBe(false);
  });

  test('may be more than 30', () => {
    const blockedMethods = Array.from({ length: 100 }, (_, n) => `x_${String(n)}`);
    expect(parsed({ blockedMethods }).isBlocked('x_99')).toBe(true);
  });
});

test('a misspelt kind of usage is named, with the right one', () => {
  expect(lineOf(problemOf({ ...NEEDED, usage: { origin: false, addresses: 0 } }), 'usage')).toEqual([
    expect.stringContaining(
      'got an object (origin: does not exist; did you mean origins?; addresses: got 0; it takes true or false); it takes true, false,',
    ),
  ]);
});

test('addressParams reach the address table', () => {
  const { addressTable } = parsed({ addressParams: { acme_balance: (params) => params[0] as string } });
  expect(addressTable.get('acme_balance')?.(rpcCall('acme_balance', ['0x1']).params ?? [])).toEqual(['0x1']);
  expect(addressTable.has('eth_call')).toBe(true);
});

describe('upstream', () => {
  const basicOf = (credentials: string) => `Basic ${Buffer.from(credentials).toString('base64')}`;

  test.each([
    ['http://127.0.0.1:8545', { origin: 'http://127.0.0.1:8545', path: '/', host: '127.0.0.1:8545', headers: {} }],
    ['https://node.example', { origin: 'https://node.example', path: '/', host: 'node.example', headers: {} }],
    ['https://node.example/v3/KEY', { origin: 'https://node.example', path: '/v3/KEY' }],
    ['https://node.example/rpc?key=1&b', { origin: 'https://node.example', path: '/rpc?key=1&b' }],
    ['http://[::1]:8545/', { origin: 'http://[::1]:8545', path: '/' }],
  ])('%s is split into its parts', (upstream, expected) => {
    expect(parsed({ upstream }).upstream).toMatchObject(expected);
    expect(parsed({ upstream: { url: upstream } }).upstream).toMatchObject(expected);
  });

  test.each([
    ['http://user:pass@host/path', 'user:pass'],
    ['http://:pass@host', ':pass'],
    ['http://user@host', 'user:'],
    ['http://us%40er:p%3Ass%2F@host', 'us@er:p:ss/'],
    ['http://%C3%BC:%C3%A4@host', 'ü:ä'],
  ])('%s sends its credentials', (upstream, credentials) => {
    expect(parsed({ upstream }).upstream).toMatchObject({
      origin: 'http://host',
      headers: { authorization: basicOf(credentials) },
    });
  });

  test.each([
    ['http://host:8545/rpc?key=1', undefined, 'ws://host:8545/rpc?key=1', {}],
    ['https://user:pass@host/rpc', undefined, 'wss://host/rpc', { authorization: basicOf('user:pass') }],
    ['HTTPS://host', undefined, 'wss://host/', {}],
    ['https://host/rpc', 'wss://a:b@other/ws', 'wss://other/ws', { authorization: basicOf('a:b') }],
    ['https://user:pass@host/rpc', 'ws://127.0.0.1:8546', 'ws://127.0.0.1:8546/', {}],
  ])('%s with the wsUrl %s takes WebSockets to %s', (url, wsUrl, expected, wsHeaders) => {
    const upstream = wsUrl === undefined ? { url } : { url, wsUrl };
    expect(parsed({ upstream }).upstream).toMatchObject({ wsUrl: expected, wsHeaders });
  });

  test.each(['', 'http://host', 'https://host', 'host:8546', 'ws://', 'ws://%zz@host', 'ws://u:%ff@host', 7, null])(
    'the wsUrl %p is refused, without its credentials and path in the message',
    (wsUrl) => {
      const upstream = { url: 'http://user:HIDDEN@host/HIDDEN', wsUrl };
      expect(problemOf({ ...NEEDED, upstream })).not.toContain('HIDDEN');
    },
  );

  test('sends headers of the operator, which outrank the URL', () => {
    const upstream = { url: 'http://a:b@host', headers: { Authorization: 'Bearer x', 'X-Api-Key': 'y' } };
    expect(parsed({ upstream }).upstream.headers).toEqual({
      authorization: 'Bearer x',
      'x-api-key': 'y',
    });
  });

  test.each([
    '',
    'node.example',
    'localhost:8545',
    '/rpc',
    'ws://host',
    'wss://host',
    'ftp://host',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'http://',
    'http://host:99999',
    'http://ho st',
    'http://%zz@host',
    'http://user:%ff@host',
    7,
    true,
    null,
    [],
    {},
    () => 'http://host',
    new URL('http://host'),
    { url: 7 },
    { url: 'wss://host' },
    { url: 'http://host', header: {} },
    { url: 'http://host', headers: null },
    { url: 'http://host', headers: [] as unknown as null, extra: 1 },
    { url: 'http://host', headers: { 'bad name': 'x' } },
    { url: 'http://host', headers: { 'X-A': 'a\r\nX-B: b' } },
    { url: 'http://host', headers: { 'X-A': 'a\0' } },
    { url: 'http://host', headers: { 'X-A': 7 } },
    { url: 'http://host', headers: { 'X-A': ['a'] } },
    { url: 'http://host', headers: { 'X-A': undefined } },
    { url: 'http://host', headers: { 'Content-Length': '1' } },
    { url: 'http://host', headers: { 'transfer-encoding': 'chunked' } },
    { url: 'http://host', headers: { Connection: 'close' } },
    { url: 'http://host', headers: { 'Content-Type': 'text/plain' } },
  ])('%p is refused, and a right one shown', (upstream) => {
    const [line] = lineOf(problemOf({ ...NEEDED, upstream }), 'upstream');
    expect(line).toContain('"http://127.0.0.1:8545"');
  });

  const leaks = [
    'wss://mainnet.example/v3/HIDDEN',
    'mainnet.example/v3/HIDDEN',
    'mainnet.example:443/v3/HIDDEN',
    '/v3/HIDDEN',
    'https//mainnet.example/HIDDEN',
    'https:/\\/HIDDEN bad host/HIDDEN',
    'ftp://user:HIDDEN@host/path',
    'ftp://HIDDEN@host',
    'ftp://HIDDEN:HIDDEN@host/HIDDEN?HIDDEN#HIDDEN',
    'ftp://user:pa@HIDDEN@host/x',
    'ftp://user:pa@@HIDDEN@host/x',
    'ftp://user:pa/HIDDEN@host/x',
    'ftp://user:pa?HIDDEN@host/x',
    'ftp://user:pa#HIDDEN@host/x',
    'ftp://user:pa//HIDDEN@host/x',
    'ftp:\\\\user:HIDDEN@host\\HIDDEN',
    'ftp://host\\HIDDEN',
    'user:HIDDEN@host/HIDDEN',
    'redis://:HIDDEN@host',
    'http://host/p@th//HIDDEN',
    'http://host/HIDDEN@HIDDEN//x',
    'http://host//HIDDEN',
    'http://host//?HIDDEN',
    'http://host:99999/HIDDEN',
    'http://host:99999?key=HIDDEN',
    'http://host:99999#HIDDEN',
    'http://user:HIDDEN@host:99999/x',
    'http://[::1/HIDDEN',
    'http://ho st/HIDDEN',
    'http://user:HIDDEN%ff@host/HIDDEN',
    'http://user:line\nHIDDEN@host /x',
    ' wss://user:HIDDEN@host/HIDDEN',
    '"https://host/HIDDEN"',
    "'https://user:HIDDEN@host'",
    'UPSTREAM=https://host/HIDDEN',
  ];

  test.each(leaks)('%j does not show its credentials or path in the message', (upstream) => {
    for (const value of [upstream, { url: upstream }, { url: upstream, headers: { 'X-Key': 'HIDDEN' } }]) {
      expect(problemOf({ ...NEEDED, upstream: value })).not.toContain('HIDDEN');
    }
  });

  test.each([
    [['https://host/v3/HIDDEN', 'https://host/v3/HIDDEN']],
    [[`https://host/v3/HIDDEN${'x'.repeat(200)}`]],
    [['https://user:HIDDEN@host /x']],
    [{ url: ['https://user:HIDDEN@host /x'] }],
    [{ uri: 'https://user:HIDDEN@host' }],
    [{ url: 'http://host', headers: { Authorization: 'Bearer HIDDEN\n' } }],
    [{ url: 'http://host', headers: { 'HIDDEN name': 'x' } }],
    [{ url: 'http://host', auth: 'user:HIDDEN' }],
    [{ toString: (): string => 'HIDDEN' }],
  ])('%j does not show its credentials or path in the message', (upstream) => {
    expect(problemOf({ ...NEEDED, upstream })).not.toContain('HIDDEN');
  });

  test('under a misspelt option is not shown either', () => {
    expect(problemOf({ ...NEEDED, upstreamUrl: 'https://user:HIDDEN@host/HIDDEN' })).not.toContain('HIDDEN');
    expect(problemOf({ Upstream: 'https://user:HIDDEN@host/HIDDEN' })).not.toContain('HIDDEN');
  });
});

describe('a wrong option is refused, its value quoted and a right one shown:', () => {
  const cases: readonly (readonly [option: string, value: unknown, quoted: string, right: string])[] = [
    ['upstream', undefined, 'is required', '"http://127.0.0.1:8545"'],
    ['upstream', 'htp://host', 'htp://host', '"http://127.0.0.1:8545"'],
    ['store', undefined, 'is required', 'new FileStore('],
    ['store', null, 'null', 'new FileStore('],
    ['store', {}, 'an object', 'new FileStore('],
    ['store', { get: 'x' }, 'an object', 'new FileStore('],
    ['store', './keys.json', '"./keys.json"', 'new FileStore('],
    ['store', () => undefined, 'a function', 'new FileStore('],
    ...['', '/v3', 'v3/:apiKey', '/v3/:key', '/:apiKey/:apiKey', '/v3/:apiKey?'].map(
      (path) => ['path', path, JSON.stringify(path), '"/v3/:apiKey"'] as const,
    ),
    ['path', 7, '7', '"/v3/:apiKey"'],
    ['wsPath', 'ws', '"ws"', '"/ws/v3"'],
    ['wsPath', '/ws/:apiKey', '"/ws/:apiKey"', '"/ws/v3"'],
    ['wsPath', 7, '7', '"/ws/v3"'],
    ['path', null, 'null', '"/v3/:apiKey"'],
    ['blockedMethods', 'admin_*', '"admin_*"', '["admin_*"'],
    ['blockedMethods', ['admin_*', 'a b'], '"a b"', '["admin_*"'],
    ['blockedMethods', ['*_admin'], '"*_admin"', '["admin_*"'],
    ['blockedMethods', ['admin_*', 7], '7', '["admin_*"'],
    ['blockedMethods', null, 'null', '["admin_*"'],
    ['addressParams', null, 'null', 'acme_balance'],
    ['addressParams', 'none', '"none"', 'acme_balance'],
    ['addressParams', { acme_x: 'all' }, 'an object', 'acme_balance'],
    ['addressParams', { acme_x: 0 }, 'an object', 'acme_balance'],
    ['addressParams', { acme_x: undefined }, 'an object', 'acme_balance'],
    ...['maxBodyBytes', 'maxBatchSize', 'maxSocketsPerKey', 'bodyTimeoutMs', 'upstreamTimeoutMs'].flatMap((option) =>
      [0, -1, 1.5, NaN, Infinity, '1000', '2mb', 10n, null, true, 2 ** 53].map(
        (value) => [option, value, typeof value === 'string' ? `"${value}"` : String(value), 'such as'] as const,
      ),
    ),
    // setTimeout takes a longer time than 2^31 - 1 ms for no time at all.
    ...['bodyTimeoutMs', 'upstreamTimeoutMs', 'staleIfErrorMs'].map(
      (option) => [option, 2 ** 31, '2147483648', 'such as'] as const,
    ),
    ['staleIfErrorMs', -1, '-1', '60000'],
    ['staleIfErrorMs', '60s', '"60s"', '60000'],
    ['cors', 'true', '"true"', 'origin:'],
    ['cors', 1, '1', 'origin:'],
    ['cors', null, 'null', 'origin:'],
    ['exposeReason', 'false', '"false"', 'true or false'],
    ['exposeReason', 0, '0', 'true or false'],
    ['logger', console.log, 'a function', 'pino()'],
    ['logger', { error: () => undefined }, 'an object', 'pino()'],
    ['onDecision', {}, 'an object', '(decision) =>'],
    ['onDecision', null, 'null', '(decision) =>'],
    ['createProxyMiddleware', {}, 'an object', 'http-proxy-middleware'],
  ];

  test.each(cases)('%s: %p', (option, value, quoted, right) => {
    const message = problemOf({ ...NEEDED, [option]: value });
    const lines = lineOf(message, option);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(quoted);
    expect(lines[0]).toContain(right);
  });

  test.each([
    ['maxBodyBytes', 1],
    ['maxBatchSize', 1],
    ['bodyTimeoutMs', 1],
    ['upstreamTimeoutMs', 2 ** 31 - 1],
    ['staleIfErrorMs', 0],
    ['staleIfErrorMs', 2 ** 31 - 1],
  ])('%s may be %d', (option, value) => {
    expect(parsed({ [option]: value })).toMatchObject({ [option]: value });
  });

  test('all problems in one message', () => {
    const message = problemOf({ upstream: 7, path: '/', maxBatchSize: 0, cors: 'x', colour: 'red' });
    for (const option of ['upstream', 'store', 'path', 'maxBatchSize', 'cors', 'colour']) {
      expect(lineOf(message, option)).toHaveLength(1);
    }
  });
});

describe('an unknown option is refused', () => {
  test.each([
    ['Upstream', 'upstream'],
    ['maxbatchsize', 'maxBatchSize'],
    ['maxBatchsize', 'maxBatchSize'],
    ['CORS', 'cors'],
    ['staleIfErrorMS', 'staleIfErrorMs'],
  ])('%s, with the right spelling %s', (wrong, right) => {
    const lines = lineOf(problemOf({ ...NEEDED, [wrong]: 1 }), wrong);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(right);
    expect(lines[0]).not.toContain('blockedMethods');
  });

  test.each(['colour', 'target', 'constructor', 'toString', 'hasOwnProperty'])(
    '%s, with the options there are',
    (name) => {
      const [line] = lineOf(problemOf({ ...NEEDED, [name]: 1 }), name);
      for (const option of ['upstream', 'store', 'path', 'blockedMethods', 'maxBodyBytes', 'onDecision']) {
        expect(line).toContain(option);
      }
    },
  );

  test('__proto__ too', () => {
    const options = { ...(JSON.parse('{"__proto__":{"cors":false}}') as object) };
    Object.defineProperty(options, 'upstream', { value: NEEDED.upstream, enumerable: true });
    Object.defineProperty(options, 'store', { value: NEEDED.store, enumerable: true });
    expect(lineOf(problemOf(options), '__proto__')).toHaveLength(1);
  });
});

describe('rpcGuard', () => {
  test.each([undefined, null, 7, 'http://host', [], () => undefined])('throws when it is built with %p', (options) => {
    const error = thrownBy(() => rpcGuard(options as unknown as RpcGuardOptions));
    expect(error.code).toBe('ERR_RPC_GUARD_OPTIONS');
    expect(error.message).toContain('upstream');
    expect(error.message).toContain('store');
  });

  test('mounted without the call says so and answers nothing else', async () => {
    const app = express();
    // @ts-expect-error: the types refuse it where they are asked
    app.use(rpcGuard);
    app.use((_req, res) => void res.send('passed'));
    const errors: unknown[] = [];
    app.use((error: unknown, _req: express.Request, res: express.Response, next: express.NextFunction) => {
      errors.push(error);
      res.status(500).end();
      if (error === undefined) next();
    });
    const server = app.listen(0, '127.0.0.1');
    endAfterTest(() => server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const response = await fetch(`http://127.0.0.1:${port}/v3/x`, { method: 'POST', body: '{}' });
    expect(response.status).toBe(500);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ code: 'ERR_RPC_GUARD_NOT_CALLED' });
    expect((errors[0] as Error).message).toContain('write app.use(rpcGuard({ upstream: "http');
  });
});
