import { CONTRACT, LISTED_KEY, OPEN_KEY, ORIGIN, SECRET, USER_AGENT } from './keys.mjs';
import { maskedFrame } from './frames.mjs';

const GUARDS = ['rpcGuard 3 MemoryStore', 'rpcGuard 3 RedisStore', 'rpcGuard 4 MemoryStore'];
const BARE = ['bare http-proxy-middleware 3', 'bare http-proxy-middleware 4'];
const PROXIES = [...BARE, 'hand-written guard', '@fastify/http-proxy', ...GUARDS];
const REFUSING = ['hand-written guard', ...GUARDS];

function callOf(id, method = 'eth_call') {
  const params = [{ to: CONTRACT, data: '0x70a08231' }, 'latest'];
  return { jsonrpc: '2.0', id, method, params };
}

export const ONE = JSON.stringify(callOf(1));
const HUNDRED = Array.from({ length: 100 }, (_, n) => callOf(n + 1));
const MIXED = HUNDRED.map((call, n) => (n === 50 ? { ...call, method: 'admin_peers' } : call));
const LARGE = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'eth_sendRawTransaction',
  params: [`0x${'1f'.repeat(128 * 1024)}`],
});

function post(body, { key = OPEN_KEY, origin, secret, method = 'POST' } = {}) {
  const lines = [
    `${method} /v3/${key} HTTP/1.1`,
    'Host: 127.0.0.1',
    `User-Agent: ${USER_AGENT}`,
    'Accept: */*',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  if (origin !== undefined) lines.push(`Origin: ${origin}`);
  if (secret !== undefined) lines.push(`Authorization: Basic ${Buffer.from(`:${secret}`).toString('base64')}`);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`);
}

export const HANDSHAKE = [
  `GET /ws/v3/${OPEN_KEY} HTTP/1.1`,
  'Host: 127.0.0.1',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  '\r\n',
].join('\r\n');

const LISTED = { key: LISTED_KEY, secret: SECRET, origin: ORIGIN };
const allowed = { status: 200, connections: 32, servers: PROXIES };
const refused = { connections: 32, servers: REFUSING };

/** What is sent to which servers; `isQuick` in the quick run too; servers start anew `starts` times. */
export const SCENARIOS = {
  'one call, 150 B': {
    ...allowed,
    servers: ['http.request relay', ...PROXIES],
    isQuick: true,
    bytes: post(ONE),
  },
  'one call, secret and four lists of 30': { ...allowed, bytes: post(ONE, LISTED) },
  'one call, limits, usage, metrics and report-only on against all off': {
    ...allowed,
    servers: ['rpcGuard 3, all off', 'rpcGuard 3, all on'],
    starts: 12, // two processes of the same server differ by 10 %, the bound is 5
    isQuick: true,
    bytes: post(ONE, LISTED),
  },
  'batch of 100': { ...allowed, bytes: post(JSON.stringify(HUNDRED)) },
  'batch of 100, one of it refused': {
    ...allowed,
    servers: [...BARE, ...GUARDS],
    bytes: post(JSON.stringify(MIXED)),
  },
  'one call, 256 KB': { ...allowed, connections: 8, bytes: post(LARGE) },
  'refused at the key': {
    ...refused,
    status: 401,
    bytes: post(ONE, { key: 'a-key-that-is-not-there' }),
    isQuick: true,
  },
  'refused at the Origin': {
    ...refused,
    status: 403,
    bytes: post(ONE, { ...LISTED, origin: 'https://evil.example' }),
  },
  'refused at the method': {
    ...refused,
    status: 403,
    bytes: post(JSON.stringify(callOf(1, 'eth_sign')), LISTED),
  },
  'WebSocket messages': {
    connections: 32,
    servers: ['bare ws relay', 'rpcGuard 3 MemoryStore', 'rpcGuard 3 RedisStore'],
    handshake: HANDSHAKE,
    bytes: maskedFrame(ONE),
    isQuick: true,
  },
};

/** The quick run compares these alone. */
export const QUICK_SERVERS = [
  'http.request relay',
  'bare http-proxy-middleware 3',
  'hand-written guard',
  'rpcGuard 3 MemoryStore',
  'rpcGuard 3, all off',
  'rpcGuard 3, all on',
  'bare ws relay',
];

/** For the soak: what is allowed and what is refused, and a request that never ends. */
export const SOAK = {
  requests: [
    post(ONE, LISTED),
    post(ONE, { key: 'a-key-that-is-not-there' }),
    post(ONE, { ...LISTED, origin: 'https://evil.example' }),
    post(JSON.stringify(MIXED)),
  ],
  unfinished: post(ONE, LISTED).subarray(0, -20),
};
