import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { endAfterTest } from './cleanup';

export interface RawUpstream {
  readonly url: string;
  readonly port: number;
  /** Every connection so far. */
  readonly sockets: readonly Socket[];
}

/**
 * A TCP server on a free port for what no HTTP server would say. `answer` is called once for each request whose head
 * and announced body have arrived, with its bytes.
 */
export async function rawUpstream(answer: (socket: Socket, request: string) => void): Promise<RawUpstream> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    let received = '';
    socket.setEncoding('latin1');
    socket.on('error', () => undefined);
    socket.on('data', (chunk: string) => {
      received += chunk;
      const end = received.indexOf('\r\n\r\n');
      const length = Number(/^content-length: *(\d+)/im.exec(received)?.[1] ?? 0);
      if (end === -1 || received.length < end + 4 + length) return;
      const request = received.slice(0, end + 4 + length);
      received = received.slice(request.length);
      answer(socket, request);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endAfterTest(
    () =>
      new Promise((resolve) => {
        server.close(resolve);
        for (const socket of sockets) socket.destroy();
      }),
  );
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, port, sockets };
}
