// What client libraries make of limits: reads that succeed, and how long they take. `node bench/limit-clients.mjs` after a build;
// ethers 5 takes part where it is installed as `ethers-5`.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);
const express = require('express');
const { WebSocketServer } = require('ws');
const { rpcGuard, MemoryStore } = require('../dist/index.js');
const ethers6 = require('ethers');
const ethers5 = installed('ethers-5');
function installed(name) {
  try {
    return require(name);
  } catch {
    return undefined;
  }
}
const viem = require('viem');
const { Web3 } = require('web3');

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
async function guarded(limits, work) {
  const guard = rpcGuard({
    upstream: `http://127.0.0.1:${upstream.address().port}`,
    store: new MemoryStore([{ apiKey: KEY, limits }]),
    logger: { info() {}, warn() {}, error() {} },
  });
  const server = express().use(guard).listen(0);
  server.on('upgrade', guard.upgrade);
  await new Promise((r) => server.once('listening', r));
  const at = `127.0.0.1:${server.address().port}`;
  try {
    return await work(`http://${at}/v3/${KEY}`, `ws://${at}/ws/v3/${KEY}`);
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
const CLIENTS = {
  'ethers 6': (http) => {
    const p = new ethers6.JsonRpcProvider(http, 1, { staticNetwork: true });
    return [(n) => p.getBalance(ACCOUNT(n)), () => p.destroy()];
  },
  'ethers 6, no batches': (http) => {
    const p = new ethers6.JsonRpcProvider(http, 1, { staticNetwork: true, batchMaxCount: 1 });
    return [(n) => p.getBalance(ACCOUNT(n)), () => p.destroy()];
  },
  'ethers 5': (http) => {
    if (!ethers5) return;
    const p = new ethers5.providers.StaticJsonRpcProvider(http, 1);
    return [(n) => p.getBalance(ACCOUNT(n)), () => {}];
  },
  'ethers 5, batches': (http) => {
    if (!ethers5) return;
    const p = new ethers5.providers.JsonRpcBatchProvider(http, 1);
    return [(n) => p.getBalance(ACCOUNT(n)), () => {}];
  },
  viem: (http) => {
    const c = viem.createPublicClient({ chain, transport: viem.http(http) });
    return [(n) => c.getBalance({ address: ACCOUNT(n) }), () => {}];
  },
  'viem, batches': (http) => {
    const c = viem.createPublicClient({ chain, transport: viem.http(http, { batch: true }) });
    return [(n) => c.getBalance({ address: ACCOUNT(n) }), () => {}];
  },
  'web3.js 4': (http) => {
    const w = new Web3(http);
    return [(n) => w.eth.getBalance(ACCOUNT(n)), () => {}];
  },
  'viem, WebSocket': (_h, ws) => {
    const c = viem.createPublicClient({ chain, transport: viem.webSocket(ws) });
    return [(n) => c.getBalance({ address: ACCOUNT(n) }), async () => (await c.transport.getRpcClient()).close()];
  },
  'ethers 6, WebSocket': (_h, ws) => {
    const p = new ethers6.WebSocketProvider(ws, 1, { staticNetwork: true });
    return [(n) => p.getBalance(ACCOUNT(n)), () => p.destroy()];
  },
};
async function reads(client, count, http, ws) {
  const made = CLIENTS[client](http, ws);
  if (!made) return 'not installed';
  const [read, end] = made;
  const t = performance.now();
  let timer;
  const all = Promise.allSettled(Array.from({ length: count }, (_, n) => read(n)));
  const late = new Promise((r) => (timer = setTimeout(() => r(undefined), 25_000)));
  const done = await Promise.race([all, late]);
  clearTimeout(timer);
  const s = ((performance.now() - t) / 1000).toFixed(1);
  await Promise.resolve()
    .then(end)
    .catch(() => undefined);
  if (!done) return `hangs after ${s} s`;
  const ok = done.filter((d) => d.status === 'fulfilled').length;
  const err = done.find((d) => d.status === 'rejected')?.reason;
  return `${ok}/${count} in ${s} s${err ? ' — ' + String(err.code ?? err.name) + ': ' + String(err.message).slice(0, 60).replace(/\s+/g, ' ') : ''}`;
}
const only = process.argv[2];
for (const [name, limits, count] of [
  ['5/s burst 10, 50 reads', { perSecond: 5, burst: 10 }, 50],
  ['50/s burst 100, 140 reads', { perSecond: 50, burst: 100 }, 140],
  ['day spent, 1 read', { perDay: 1 }, 2],
]) {
  if (only && !name.startsWith(only)) continue;
  for (const client of Object.keys(CLIENTS)) {
    const r = await guarded(limits, async (http, ws) => {
      if (limits.perDay) await fetch(http, { method: 'POST', body: '{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}' });
      return reads(client, limits.perDay ? 1 : count, http, ws);
    });
    console.log(`${name} | ${client} | ${r}`);
  }
}
process.exit(0);
