// node bench/limit-clients.mjs [--limits=day] [--client=viem]: what client libraries make of limits: reads that succeed, and how
// long they take. Build first.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);
const express = require('express');
const { WebSocketServer } = require('ws');
const { rpcGuard, MemoryStore, hashSecret } = require('../dist/index.js');
const ethers6 = require('ethers');
const ethers5 = require('ethers-5');
const viem = require('viem');
const { Web3, WebSocketProvider } = require('web3');
const option = (name) => process.argv.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3) ?? '';

function answer(text) {
  const body = JSON.parse(text);
  const one = ({ id, method }) => ({
    jsonrpc: '2.0',
    id,
    result: method === 'eth_chainId' ? '0x1' : method === 'net_version' ? '1' : '0x10',
  });
  return JSON.stringify(Array.isArray(body) ? body.map(one) : one(body));
}
const upstream = createServer((req, res) => {
  let t = '';
  req.on('data', (c) => (t += c));
  req.on('end', () => {
    res.setHeader('content-type', 'application/json');
    res.end(answer(t));
  });
}).listen(0);
const wss = new WebSocketServer({ server: upstream });
wss.on('connection', (ws) => ws.on('message', (m) => ws.send(answer(String(m)))));
await new Promise((r) => upstream.once('listening', r));
const KEY = 'my-first-key';
/** Its limits are those of its secret. */
const SECRET_KEY = 'my-second-key';
const SECRET = 'a-secret-brought-along-from-elsewhere';
const AUTHORIZATION = `Basic ${btoa(`:${SECRET}`)}`;
async function guarded({ limits, target }, work) {
  const secrets = [{ id: 'server', hash: hashSecret(SECRET), limits }];
  const guard = rpcGuard({
    upstream: target,
    store: new MemoryStore([
      { apiKey: KEY, limits },
      { apiKey: SECRET_KEY, secrets },
    ]),
    logger: { info() {}, warn() {}, error() {} },
  });
  const server = express().use(guard).listen(0);
  server.on('upgrade', guard.upgrade);
  await new Promise((r) => server.once('listening', r));
  const at = `127.0.0.1:${server.address().port}`;
  try {
    return await work(at);
  } finally {
    server.close();
    server.closeAllConnections();
    await guard.close();
  }
}
const ACCOUNT = (n) => '0x' + (n + 1).toString(16).padStart(40, '0');
const chain = {
  id: 1,
  name: 'x',
  nativeCurrency: { name: 'E', symbol: 'E', decimals: 18 },
  rpcUrls: { default: { http: [] } },
};
/** Each makes a client of `at`, and returns how to read and how to end it. */
const CLIENTS = {
  'ethers 6': (at) => ethers6Client(http(at)),
  'ethers 6, no batches': (at) => ethers6Client(http(at), { batchMaxCount: 1 }),
  'ethers 6, secret': (at) => ethers6Client(withSecret(at)),
  'ethers 6, no batches, secret': (at) => ethers6Client(withSecret(at), { batchMaxCount: 1 }),
  'ethers 6, WebSocket': (at) => {
    const provider = new ethers6.WebSocketProvider(webSocket(at), 1, { staticNetwork: true });
    return [(n) => provider.getBalance(ACCOUNT(n)), () => provider.destroy()];
  },
  'ethers 5': (at) => ethers5Client('StaticJsonRpcProvider', http(at)),
  'ethers 5, batches': (at) => ethers5Client('JsonRpcBatchProvider', http(at)),
  'ethers 5, secret': (at) => {
    const url = http(at, SECRET_KEY);
    return ethers5Client('StaticJsonRpcProvider', {
      url,
      user: '',
      password: SECRET,
      allowInsecureAuthentication: true,
    });
  },
  viem: (at) => viemClient(viem.http(http(at))),
  'viem, batches': (at) => viemClient(viem.http(http(at), { batch: true })),
  'viem, secret': (at) => {
    const fetchOptions = { headers: { Authorization: AUTHORIZATION } };
    return viemClient(viem.http(http(at, SECRET_KEY), { fetchOptions }));
  },
  'viem, WebSocket': (at) => {
    const [read, , client] = viemClient(viem.webSocket(webSocket(at), { reconnect: false }));
    return [read, async () => (await client.transport.getRpcClient()).close()];
  },
  'web3.js 4': (at) => {
    const web3 = new Web3(http(at));
    return [(n) => web3.eth.getBalance(ACCOUNT(n)), () => undefined];
  },
  'web3.js 4, WebSocket': (at) => {
    const provider = new WebSocketProvider(webSocket(at));
    const web3 = new Web3(provider);
    return [(n) => web3.eth.getBalance(ACCOUNT(n)), () => provider.disconnect()];
  },
  'anvil, a fork': async (at) => {
    const fork = await anvil('--fork-url', http(at), '--retries', '10', '--timeout', '60000', '--no-rate-limit');
    const provider = new ethers6.JsonRpcProvider(fork.url, 31337, { staticNetwork: true, batchMaxCount: 1 });
    const end = () => {
      provider.destroy();
      fork.end();
    };
    return [(n) => provider.getBalance(ACCOUNT(n)), end];
  },
};

const http = (at, key = KEY) => `http://${at}/v3/${key}`;
const webSocket = (at) => `ws://${at}/ws/v3/${KEY}`;

function withSecret(at) {
  const request = new ethers6.FetchRequest(http(at, SECRET_KEY));
  request.setCredentials('', SECRET);
  request.allowInsecureAuthentication = true;
  return request;
}

function ethers6Client(request, options = {}) {
  const provider = new ethers6.JsonRpcProvider(request, 1, { staticNetwork: true, ...options });
  return [(n) => provider.getBalance(ACCOUNT(n)), () => provider.destroy()];
}

function ethers5Client(kind, connection) {
  const provider = new ethers5.providers[kind](connection, 1);
  return [(n) => provider.getBalance(ACCOUNT(n)), () => undefined];
}

function viemClient(transport) {
  const client = viem.createPublicClient({ chain, transport });
  return [(n) => client.getBalance({ address: ACCOUNT(n) }), () => undefined, client];
}

/** A node of its own; as a fork it asks for balance, nonce and code of each account that it is asked about. */
async function anvil(...args) {
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const binary = require.resolve(`@foundry-rs/anvil-${process.platform}-${architecture}/bin/anvil`);
  const child = spawn(binary, ['--port', '0', '--host', '127.0.0.1', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const end = () => child.kill();
  process.on('exit', end);
  let output = '';
  child.stderr.on('data', (chunk) => (output += chunk));
  child.stdout.on('data', (chunk) => (output += chunk));
  const ended = once(child, 'exit');
  for (;;) {
    const port = /Listening on 127\.0\.0\.1:(\d+)/.exec(output)?.[1];
    if (port !== undefined) return { url: `http://127.0.0.1:${port}`, end };
    const [code] = await Promise.race([ended, once(child.stdout, 'data').then(() => [])]);
    if (code !== undefined) throw new Error(output.trim().split('\n').at(-1));
  }
}

async function reads(client, count, at) {
  const began = performance.now();
  const seconds = () => ((performance.now() - began) / 1000).toFixed(1);
  let made;
  try {
    made = await CLIENTS[client](at);
  } catch (error) {
    return `does not start: ${oneLine(error.message)}, after ${seconds()} s`;
  }
  const [read, end] = made;
  let timer;
  const all = Promise.allSettled(Array.from({ length: count }, (_, n) => read(n)));
  const late = new Promise((resolve) => (timer = setTimeout(() => resolve(undefined), LATE_MS)));
  const done = await Promise.race([all, late]);
  clearTimeout(timer);
  const took = seconds();
  await Promise.resolve()
    .then(end)
    .catch(() => undefined);
  if (done === undefined) return `hangs after ${took} s`;
  const passed = done.filter(({ status }) => status === 'fulfilled').length;
  const error = done.find(({ status }) => status === 'rejected')?.reason;
  const why = error === undefined ? '' : ` — ${error.code ?? error.name}: ${oneLine(error.message)}`;
  return `${passed}/${count} in ${took} s${why}`;
}

const LATE_MS = 60_000;
const oneLine = (text) => String(text).slice(0, 80).replace(/\s+/g, ' ');

/** Spends the day of the key and of the secret. */
async function spendDay(at) {
  const body = '{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}';
  await fetch(http(at), { method: 'POST', body });
  await fetch(http(at, SECRET_KEY), { method: 'POST', body, headers: { Authorization: AUTHORIZATION } });
}

const node = await anvil();
for (const [name, limits, count] of [
  ['5/s burst 10, 50 reads', { perSecond: 5, burst: 10 }, 50],
  ['50/s burst 100, 140 reads', { perSecond: 50, burst: 100 }, 140],
  ['day spent, 1 read', { perDay: 1 }, 1],
]) {
  if (!name.startsWith(option('limits'))) continue;
  for (const client of Object.keys(CLIENTS).filter((it) => it.startsWith(option('client')))) {
    const target = client.startsWith('anvil') ? node.url : `http://127.0.0.1:${upstream.address().port}`;
    const outcome = await guarded({ limits, target }, async (at) => {
      if (limits.perDay !== undefined) await spendDay(at);
      return reads(client, count, at);
    });
    console.log(`${name} | ${client} | ${outcome}`);
  }
}
process.exit(0);
