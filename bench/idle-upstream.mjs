// An upstream that closes idle connections after 300 ms without saying so, and 50,000 reads and 2,000 writes through the
// guard in bursts that begin as connections close. Prints how many failed, and how many writes came twice.
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'node:http';
import { MemoryStore, rpcGuard } from '../dist/index.js';

const IDLE_MS = 300;
const BURST = 500;
const READS = Number(process.env.READS ?? 50_000);
const WRITE_EVERY = 26;
const ANSWER = '{"jsonrpc":"2.0","id":1,"result":"0x1"}';
const writes = new Map();
let connections = 0;

const upstream = createTcpServer((socket) => {
  connections++;
  let received = '';
  socket.on('timeout', () => socket.destroy());
  socket.on('error', () => undefined).setEncoding('latin1');
  socket.on('data', (chunk) => {
    received += chunk;
    const end = received.indexOf('\r\n\r\n');
    const length = Number(/^content-length: *(\d+)/im.exec(received)?.[1] ?? 0);
    if (end === -1 || received.length < end + 4 + length) return;
    const body = received.slice(end + 4, end + 4 + length);
    received = '';
    if (body.includes('eth_send')) writes.set(body, (writes.get(body) ?? 0) + 1);
    // From its answer on, as servers do: on a busy machine the first request may be late.
    socket.setTimeout(IDLE_MS);
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${ANSWER.length}\r\n\r\n${ANSWER}`);
  });
});
const listening = (server) =>
  new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));
const apiKey = '0123456789abcdef0123456789abcdef';
const store = new MemoryStore([{ apiKey }]);
const whys = {};
const logger = { info() {}, warn: ({ why }) => (whys[why] = (whys[why] ?? 0) + 1), error() {} };
const guard = rpcGuard({ upstream: `http://127.0.0.1:${await listening(upstream)}`, store, logger });
const server = createServer((req, res) => guard(req, res, () => res.writeHead(404).end()));
server.keepAliveTimeout = 0; // what closes here would not be the upstream's doing
const port = await listening(server);
const agent = new Agent({ keepAlive: true });

function ask(n) {
  const method = n % WRITE_EVERY === 0 ? 'eth_sendRawTransaction' : 'eth_call';
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: [String(n)] });
  return new Promise((resolve, reject) => {
    const headers = { 'Content-Length': body.length };
    const call = request({ port, method: 'POST', path: `/v3/${apiKey}`, agent, headers }, (answer) => {
      answer.resume().on('end', () => resolve({ method, status: answer.statusCode }));
    });
    call.on('error', reject).end(body);
  });
}

const counts = {};
let reads = 0;
for (let n = 0, burst = 0; reads < READS; burst++) {
  const answers = await Promise.all(Array.from({ length: BURST }, () => ask(n++)));
  for (const { method, status } of answers) {
    counts[`${method} ${status}`] = (counts[`${method} ${status}`] ?? 0) + 1;
    if (method === 'eth_call') reads++;
  }
  await sleep(IDLE_MS - 20 + (burst % 20) * 2);
}
const twice = [...writes.values()].filter((count) => count > 1).length;
console.log(JSON.stringify({ ...counts, whys, writesThatCameTwice: twice, connections }, undefined, 2));
agent.destroy();
server.close();
upstream.close();
await guard.close();
