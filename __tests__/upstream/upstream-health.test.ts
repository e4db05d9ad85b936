import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { RequestHandler } from 'express';
import { endAfterTest } from '../support/cleanup';
import { CALL, call, guardedApp } from '../support/guarded-app';
import { recordingLogger } from '../support/pieces';
import { rawUpstream } from '../support/raw-upstream';
import { expectRefusal } from '../support/refusal-table';
import { post } from '../support/reply';
import { recordingUpstream } from '../support/upstream';

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('an upstream that goes away is logged once, and once when it is back, without path or credentials', async () => {
  const port = await freePort();
  const logger = recordingLogger();
  const upstream = `http://hidden-user:hidden-pass@127.0.0.1:${port}/hidden-path?hidden=query`;
  const app = await guardedApp({ options: { upstream, logger } });
  for (let n = 0; n < 3; n++) expect((await post(app.rpcUrl, CALL)).status).toBe(502);
  const server = createServer((_req, res) => res.end('{}')).listen(port, '127.0.0.1');
  endAfterTest(() => server.close());
  await once(server, 'listening');
  for (let n = 0; n < 3; n++) expect((await post(app.rpcUrl, CALL)).status).toBe(200);
  const told = logger.lines.filter(({ level }) => level === 'error').map(({ text }) => text);
  expect(told).toEqual([
    `the upstream is away {"upstream":"127.0.0.1:${port}","why":"ECONNREFUSED: nothing listens there"}`,
    `the upstream is back {"upstream":"127.0.0.1:${port}"}`,
  ]);
});

test('an upstream that comes and goes does not flood the log', async () => {
  let count = 0;
  const upstream = await recordingUpstream((_req, res) => {
    if (++count % 2 === 1) res.destroy();
    else res.end('{}');
  });
  const logger = recordingLogger();
  const app = await guardedApp({ upstream, options: { logger } });
  for (let n = 0; n < 20; n++) await post(app.rpcUrl, call('eth_sendRawTransaction'));
  expect(logger.lines.filter(({ level }) => level === 'error')).toHaveLength(2);
});

test('a caller that goes away is not blamed on the upstream', async () => {
  const { url, sockets } = await rawUpstream(() => undefined);
  const logger = recordingLogger();
  const app = await guardedApp({ options: { upstream: url, logger } });
  const controller = new AbortController();
  const { signal } = controller;
  const answer = fetch(app.rpcUrl, { method: 'POST', body: JSON.stringify(CALL), signal });
  answer.catch(() => undefined);
  while (sockets[0] === undefined) await new Promise(setImmediate);
  const [socket] = sockets;
  await once(socket, 'data');
  controller.abort();
  await once(socket, 'close');
  expect(logger.lines.filter(({ level }) => level === 'error')).toEqual([]);
});

test('what cannot be sent is refused at once, and not blamed on the upstream', async () => {
  const logger = recordingLogger();
  // As a server with insecureHTTPParser reads it.
  const before: RequestHandler = (req, _res, next) => {
    req.headers.accept = 'hidden\x01';
    next();
  };
  const app = await guardedApp({ before: [before], options: { logger, upstreamTimeoutMs: 2000 } });
  const answer = await post(app.rpcUrl, CALL);
  expectRefusal(answer, 'UPSTREAM_UNAVAILABLE', { id: 1 });
  const { upstreams } = app.guard.health();
  expect(Object.values(upstreams)).toEqual(['unknown']);
  expect(logger.lines.filter(({ level }) => level === 'error')).toEqual([]);
  expect(JSON.stringify(logger.lines)).toContain('it could not be sent: ERR_INVALID_CHAR');
  expect(JSON.stringify([answer.json, logger.lines])).not.toContain('hidden');
});

const HTML = '<html>hidden</html>';
const AWAY: readonly (readonly [string, string, RegExp])[] = [
  ['redirects', 'HTTP/1.1 301 M\r\nLocation: /hidden\r\nContent-Length: 0\r\n\r\n', /status 301: it redirects/],
  ['refuses the credentials', 'HTTP/1.1 403 F\r\nContent-Length: 2\r\n\r\n{}', /status 403: .*credentials/],
  [
    'answers HTML',
    `HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: ${HTML.length}\r\n\r\n${HTML}`,
    /HTML in place of JSON-RPC/,
  ],
  ['speaks TLS', '\x15\x03\x01\x00\x02\x02\x16', /HPE_INVALID_CONSTANT: .*is it https:/],
];

for (const [what, bytes, why] of AWAY) {
  test(`an upstream that ${what} is logged`, async () => {
    const { url } = await rawUpstream((socket) => socket.write(Buffer.from(bytes, 'latin1')));
    const logger = recordingLogger();
    const app = await guardedApp({ options: { upstream: `${url}/hidden`, logger } });
    expect((await post(app.rpcUrl, CALL)).status).toBe(502);
    const told = logger.lines.filter(({ level }) => level === 'error').map(({ text }) => text);
    expect(told).toEqual([expect.stringMatching(why)]);
    expect(told.join()).not.toContain('hidden');
  });
}

test('an upstream that takes no connection is logged as away, one that is only silent is not', async () => {
  const { port } = await rawUpstream(() => undefined); // it never answers the TLS handshake either
  for (const [protocol, why] of [
    ['https', 'no connection within 250 ms'],
    ['http', 'no answer within 250 ms'],
  ] as const) {
    const logger = recordingLogger();
    const upstream = `${protocol}://127.0.0.1:${port}/hidden`;
    const app = await guardedApp({ options: { upstream, logger, upstreamTimeoutMs: 250 } });
    expect((await post(app.rpcUrl, CALL)).status).toBe(504);
    const told = (level: string) => logger.lines.filter((line) => line.level === level).map(({ text }) => text);
    expect(told('warn')).toEqual([expect.stringContaining(why)]);
    const firewall = 'no connection within 250 ms: a firewall may swallow what is sent to it';
    const away = `the upstream is away {"upstream":"127.0.0.1:${port}","why":"${firewall}"}`;
    expect(told('error')).toEqual(protocol === 'https' ? [away] : []);
  }
});

test('an incomplete answer is logged with its reason, unless the caller has gone', async () => {
  const head = 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{';
  const cut = await rawUpstream((socket) => socket.end(head));
  const paused = await rawUpstream((socket) => socket.write(head));
  const dripping = await rawUpstream((socket) => {
    socket.write(head);
    const timer = setInterval(() => socket.write(' '), 20);
    socket.on('close', () => {
      clearInterval(timer);
    });
  });
  for (const [upstream, why, options] of [
    [cut, 'its answer was cut off', {}],
    [paused, 'its answer paused for 250 ms', { upstreamTimeoutMs: 250 }],
    [dripping, 'its answer took more than 250 ms', { upstreamTotalMs: 250 }],
  ] as const) {
    const logger = recordingLogger();
    const app = await guardedApp({ options: { upstream: upstream.url, logger, ...options } });
    for (const body of [CALL, [CALL, call('admin_peers', [], 2)]]) {
      logger.lines.length = 0;
      await post(app.rpcUrl, body).catch(() => undefined);
      const told = logger.lines.filter(({ level }) => level === 'warn').map(({ text }) => text);
      expect(told).toEqual([expect.stringContaining(why)]);
    }
  }
  const logger = recordingLogger();
  const app = await guardedApp({ options: { upstream: paused.url, logger } });
  const controller = new AbortController();
  const { signal } = controller;
  const before = paused.sockets.length;
  const response = await fetch(app.rpcUrl, { method: 'POST', body: JSON.stringify(CALL), signal });
  controller.abort();
  expect(response.status).toBe(200);
  const socket = paused.sockets[before]!;
  if (!socket.closed) await once(socket, 'close');
  expect(logger.lines.filter(({ level }) => level !== 'info')).toEqual([]);
});

test('without a logger the lines go to stderr', async () => {
  const port = await freePort();
  const written: string[] = [];
  const write = jest.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0);
  endAfterTest(() => write.mockRestore());
  const app = await guardedApp({ options: { upstream: `http://127.0.0.1:${port}` } });
  await post(app.rpcUrl, CALL);
  await post(app.rpcUrl, CALL);
  expect(written.filter((text) => text.includes('the upstream is away'))).toHaveLength(1);
});
