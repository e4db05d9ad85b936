// An upstream that costs as little as one can: it looks for the end of a request and answers with bytes made beforehand.
import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import { frames, textFrame } from './frames.mjs';

const result = (id) => `{"jsonrpc":"2.0","id":${id},"result":"0x${'0'.repeat(63)}1"}`;
const answer = (body) =>
  Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);

const ONE = answer(result(1));
const BATCH = answer(`[${Array.from({ length: 100 }, (_, n) => result(n + 1)).join(',')}]`);
const MESSAGE = textFrame(result(1));
const OPEN_BRACKET = 0x5b;

const server = createServer((socket) => {
  socket.setNoDelay(true).on('error', () => socket.destroy());
  let missing = 0;
  let reply = ONE;
  let isWebSocket = false;
  let head = '';

  socket.on('data', (chunk) => {
    if (isWebSocket) {
      const count = socket.countFrames(chunk);
      for (let n = 0; n < count; n++) socket.write(MESSAGE);
      return;
    }
    if (missing > 0) missing -= chunk.length;
    else {
      head += chunk.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) return;
      if (/\r\nupgrade: websocket/i.test(head)) {
        isWebSocket = true;
        socket.countFrames = frames();
        const key = /\r\nsec-websocket-key: *(\S+)/i.exec(head)[1];
        const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
        );
        return;
      }
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1]);
      if (Number.isNaN(length)) throw new Error('a request without a length');
      missing = length - (head.length - end - 4);
      reply = undefined;
      if (head.length > end + 4) reply = head.charCodeAt(end + 4) === OPEN_BRACKET ? BATCH : ONE;
      head = '';
      if (missing > 0) return;
      socket.write(reply ?? ONE);
      return;
    }
    reply ??= chunk[0] === OPEN_BRACKET ? BATCH : ONE;
    if (missing <= 0) socket.write(reply);
  });
});

process.on('disconnect', () => process.exit());
server.listen(0, '127.0.0.1', () => process.send(server.address().port));
