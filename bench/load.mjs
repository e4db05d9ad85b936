// Clients that do no more than write bytes made beforehand and look for the end of what comes back.
import { once } from 'node:events';
import { connect } from 'node:net';
import { frames } from './frames.mjs';

const WARM_UP_MS = 150;

/**
 * Sends `bytes` over `connections` kept-alive connections, one request after the other on each, for `ms`.
 * `usage` is asked at both ends. @returns requests per second, CPU per request, and latencies in milliseconds.
 */
export async function load({ port, bytes, status, handshake, connections, ms }, usage) {
  const latencies = [];
  let failure;
  const clients = await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect(port, '127.0.0.1').setNoDelay(true);
      await once(socket, 'connect');
      if (handshake !== undefined) {
        socket.write(handshake);
        const [answer] = await once(socket, 'data');
        if (!String(answer).startsWith('HTTP/1.1 101')) throw new Error(`no WebSocket: ${answer}`);
      }
      const answersIn = handshake === undefined ? answers(status) : frames();
      let sentAt = 0;
      socket.on('error', (error) => (failure = error));
      socket.on('close', () => (failure ??= new Error('a connection was closed')));
      const send = () => {
        sentAt = performance.now();
        socket.write(bytes);
      };
      socket.on('data', (chunk) => {
        try {
          if (answersIn(chunk) === 0) return;
          latencies.push(performance.now() - sentAt);
          send();
        } catch (error) {
          failure = error;
        }
      });
      return { socket, send };
    }),
  );
  for (const { send } of clients) send();
  await sleep(WARM_UP_MS);
  const before = await usage();
  const beganAt = performance.now();
  const first = latencies.length;
  await sleep(ms);
  const count = latencies.length - first;
  const seconds = (performance.now() - beganAt) / 1000;
  const after = await usage();
  for (const { socket } of clients) socket.removeAllListeners('close').destroy();
  if (failure !== undefined) throw failure;
  if (count === 0) throw new Error('not one answer');
  const sorted = latencies.slice(first, first + count).sort((a, b) => a - b);
  return {
    perSecond: count / seconds,
    // What is answered while the usage is asked is few against `count`.
    cpu: (after.cpu - before.cpu) / count,
    p50: sorted[Math.floor(count * 0.5)],
    p99: sorted[Math.floor(count * 0.99)],
  };
}

/** Returns a function that takes the bytes of a connection and tells how many responses have ended in them. */
function answers(status) {
  let missing = 0;
  let head = '';
  return (chunk) => {
    if (missing > 0) {
      missing -= chunk.length;
      return missing === 0 ? 1 : 0;
    }
    head += chunk.toString('latin1');
    const end = head.indexOf('\r\n\r\n');
    if (end === -1) return 0;
    if (!head.startsWith(`HTTP/1.1 ${status}`)) throw new Error(`not ${status}: ${head.slice(0, 500)}`);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length === undefined) throw new Error(`an answer without a length: ${head.slice(0, 500)}`);
    missing = Number(length) - (head.length - end - 4);
    head = '';
    return missing === 0 ? 1 : 0;
  };
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
