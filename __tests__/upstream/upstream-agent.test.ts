import { createServer as createHttpServer, request as requestHttp } from 'node:http';
import type { Agent, RequestListener } from 'node:http';
import { createServer, request } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { runInThisContext } from 'node:vm';
import { networkInterfaces } from 'node:os';
import { createUpstreamAgent } from '../../lib/upstream/upstream-agent';
import { parseUpstream } from '../../lib/upstream/upstream-url';
import { CERTIFICATE } from '../support/certificate';
import { endAfterTest } from '../support/cleanup';

const hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);
const HOSTS = ['127.0.0.1', ...(hasIpv6 ? ['::1'] : [])];

async function listen(server: Server, host: string): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  endAfterTest(() => new Promise((resolve) => server.close(resolve)));
  return (server.address() as AddressInfo).port;
}

function agentFor(url: string, options: object): Agent {
  const agent = createUpstreamAgent(parseUpstream(url)!, options);
  endAfterTest(() => {
    agent.destroy();
  });
  return agent;
}

/** Asks as http-proxy does, and resolves with the answer's text. */
function ask(send: typeof request, options: object): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = send({ method: 'POST', ...options }, (answer) => {
      answer.setEncoding('utf8').on('data', (text: string) => {
        resolve(text);
      });
    });
    asked.on('error', reject).end();
  });
}

test.each(HOSTS)('one kept connection to %s serves requests one after the other', async (host) => {
  let connections = 0;
  const server = createHttpServer((_req, res) => res.end('0x1')).on('connection', () => connections++);
  const port = await listen(server, host);
  const agent = agentFor(`http://${host.includes(':') ? `[${host}]` : host}:${port}`, { keepAlive: true });
  for (let n = 0; n < 3; n++) expect(await ask(requestHttp, { host, port, agent })).toBe('0x1');
  expect(connections).toBe(1);
});

test('the TLS handshake names the host, and connections are kept', async () => {
  const names: unknown[] = [];
  const tell: RequestListener = ({ socket }, res) => res.end(String('servername' in socket && socket.servername));
  const server = createServer(CERTIFICATE, tell).on('secureConnection', ({ servername }) => names.push(servername));
  const port = await listen(server, '127.0.0.1');
  const agent = agentFor(`https://localhost:${port}`, { keepAlive: true, ca: CERTIFICATE.cert });
  for (let n = 0; n < 3; n++) expect(await ask(request, { host: 'localhost', port, agent })).toBe('localhost');
  expect(names).toEqual(['localhost']);
});

test('a certificate that nobody trusts is refused, whatever NODE_TLS_REJECT_UNAUTHORIZED says', async () => {
  const { env } = runInThisContext('process') as NodeJS.Process;
  env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
  endAfterTest(() => {
    delete env.NODE_TLS_REJECT_UNAUTHORIZED;
  });
  let asked = 0;
  const port = await listen(
    createServer(CERTIFICATE, (_req, res) => {
      asked++;
      res.end('0x1');
    }),
    '127.0.0.1',
  );
  const agent = agentFor(`https://localhost:${port}`, {});
  await expect(ask(request, { host: 'localhost', port, agent })).rejects.toMatchObject({
    code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
  });
  expect(asked).toBe(0);
});
