import { connect } from 'node:net';

/**
 * Writes `parts` to the server's port as they stand, one after the other, and returns all that comes back until the
 * server closes the connection or a whole response has come.
 */
export function rawHttp(port: number, ...parts: readonly (string | Buffer)[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let received = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      received += chunk;
      if (isWhole(received)) socket.end();
    });
    socket.on('close', () => resolve(received));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET' && received !== '') resolve(received);
      else reject(error);
    });
    for (const part of parts) socket.write(part);
  });
}

function isWhole(text: string): boolean {
  const response = text.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '');
  const end = response.indexOf('\r\n\r\n');
  if (end === -1) return false;
  const length = /^content-length: *(\d+)/im.exec(response.slice(0, end));
  if (length !== null) return response.length >= end + 4 + Number(length[1]);
  return response.endsWith('0\r\n\r\n');
}
