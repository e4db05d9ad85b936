// What an idle WebSocket takes in memory, with its socket to the upstream: node bench/sockets.mjs [<how many>], after a build.
import { once } from 'node:events';
import { connect } from 'node:net';
import { maskedFrame } from './frames.mjs';
import { HANDSHAKE, ONE } from './scenarios.mjs';
import { end, endAll, start, usageOf } from './processes.mjs';

const COUNT = Number(process.argv[2] ?? 2000);
const AT_ONCE = 50;
/** The upstream of the measurements answers no close frame, which is waited for. */
const SETTLED_MS = 4000;
const MESSAGE = maskedFrame(ONE);

/** A caller's socket, which has had one message answered. */
async function open(port) {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(HANDSHAKE);
  const [answer] = await once(socket, 'data');
  if (!String(answer).startsWith('HTTP/1.1 101')) throw new Error(`no WebSocket: ${answer}`);
  socket.write(MESSAGE);
  await once(socket, 'data');
  return socket.on('data', () => undefined);
}

async function openAll(port, count) {
  const sockets = [];
  while (sockets.length < count) {
    const next = Math.min(AT_ONCE, count - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: next }, () => open(port)))));
  }
  return sockets;
}

/** After a collection, and one more for what that let go. */
async function memoryOf(child) {
  await sleep(SETTLED_MS);
  for (let n = 0; n < 2; n++) {
    const collected = once(child, 'message');
    child.send('collect');
    await collected;
  }
  return usageOf(child);
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

try {
  const { ready: upstreamPort } = await start('upstream.mjs');
  for (const name of ['bare ws relay', 'rpcGuard 3 MemoryStore']) {
    const execArgv = ['--expose-gc'];
    const { child, ready: port } = await start('server.mjs', [name, String(upstreamPort), ''], { execArgv });
    const first = await openAll(port, 100);
    const before = await memoryOf(child);
    const sockets = await openAll(port, COUNT);
    const after = await memoryOf(child);
    const kilobytes = (what) => ((after[what] - before[what]) / COUNT / 1024).toFixed(1);
    for (const socket of sockets) socket.destroy();
    const left = await memoryOf(child);
    console.log(
      `${name.padEnd(24)} ${kilobytes('heap')} KB of heap, ${kilobytes('rss')} KB resident a socket; ` +
        `${after.timers - before.timers} timers; once closed ${((left.heap - before.heap) / 1024).toFixed(0)} KB are left`,
    );
    for (const socket of first) socket.destroy();
    await end(child);
  }
} finally {
  await endAll();
}
process.exit();
