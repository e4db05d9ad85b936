import type { Socket } from 'node:net';
import { WebSocketProvider } from 'ethers';
import type { JsonRpcProvider } from 'ethers';
import { createPublicClient, http, webSocket } from 'viem';
import type { Transport } from 'viem';
import { Web3, WebSocketProvider as Web3SocketProvider } from 'web3';
import { hashSecret } from '../../lib';
import { startAnvil } from '../support/anvil';
import type { Anvil } from '../support/anvil';
import { endAfterTest } from '../support/cleanup';
import { guardedApp } from '../support/guarded-app';
import { CHAIN_ID, ethersProvider } from '../support/rpc-clients';

const SECRET = 'a-secret-brought-along-from-elsewhere';
const HEADERS = { Authorization: `Basic ${btoa(`:${SECRET}`)}` };

/** Reads the balance of an account. */
type Read = (account: `0x${string}`) => Promise<unknown>;

const CLIENTS: Readonly<Record<string, (url: string, socketUrl: string) => Read>> = {
  ethers: (url) => ofEthers(ethersProvider(url, {}, 1)),
  'ethers, WebSocket': (_, url) => {
    const provider = new WebSocketProvider(url, CHAIN_ID, { staticNetwork: true });
    endAfterTest(() => provider.destroy());
    return ofEthers(provider);
  },
  'viem, with a secret': (url) => ofViem(http(url, { fetchOptions: { headers: HEADERS } })),
  'viem, WebSocket': (_, url) => ofViem(webSocket(url, { reconnect: false, keepAlive: false })),
  'web3.js': (url) => ofWeb3(new Web3(url)),
  'web3.js, WebSocket': (_, url) => {
    const provider = new Web3SocketProvider(url, {}, { autoReconnect: false });
    endAfterTest(() => {
      provider.disconnect();
    });
    return ofWeb3(new Web3(provider));
  },
};

function ofEthers(provider: JsonRpcProvider | WebSocketProvider): Read {
  return (account) => provider.getBalance(account);
}

function ofViem(transport: Transport): Read {
  const client = createPublicClient({ transport });
  return (address) => client.getBalance({ address });
}

function ofWeb3(web3: Web3): Read {
  return (account) => web3.eth.getBalance(account);
}

let anvil: Anvil;
beforeAll(async () => {
  anvil = await startAnvil();
});
afterAll(() => anvil.stop());

const keyOf = (client: string) => `key-of-${client.replaceAll(/[^a-z0-9]/g, '-')}`;

/** A guard with a key of its own for each client, and what becomes of reads with each, all at the same time. */
async function readWithEach(
  limits: object,
  count: number,
  before: (url: string, headers: Readonly<Record<string, string>>, read: Read) => Promise<unknown> = () =>
    Promise.resolve(),
): Promise<Record<string, { passed: number; seconds: number }>> {
  const secrets = [{ id: 'server', hash: hashSecret(SECRET), limits }];
  const keys = Object.keys(CLIENTS).map((client) => ({
    apiKey: keyOf(client),
    ...(client.endsWith('secret') ? { secrets, requireSecret: true } : { limits }),
  }));
  const { guard, server, url } = await guardedApp({ keys, options: { upstream: anvil.url } });
  server.on('upgrade', guard.upgrade);
  const connections: Socket[] = [];
  server.on('connection', (connection) => connections.push(connection));
  // An open WebSocket keeps the server from closing.
  endAfterTest(() => {
    for (const connection of connections) connection.destroy();
  });
  const outcomes = Object.entries(CLIENTS).map(async ([client, make]) => {
    const rpcUrl = `${url}/v3/${keyOf(client)}`;
    const read = make(rpcUrl, rpcUrl.replace('http', 'ws').replace('/v3', '/ws/v3'));
    await before(rpcUrl, client.endsWith('secret') ? HEADERS : {}, read);
    const began = performance.now();
    const all = await Promise.allSettled(
      Array.from({ length: count }, (_, n) => read(`0x${String(n + 1).padStart(40, '0')}`)),
    );
    const seconds = (performance.now() - began) / 1000;
    return [client, { passed: all.filter(({ status }) => status === 'fulfilled').length, seconds }] as const;
  });
  return Object.fromEntries(await Promise.all(outcomes));
}

test('every client gets 140 reads at once through 50 a second and a burst of 100', async () => {
  const outcomes = await readWithEach({ perSecond: 50, burst: 100 }, 140);
  const passed = Object.entries(outcomes).map(([client, outcome]) => [client, outcome.passed]);
  expect(passed).toEqual(Object.keys(CLIENTS).map((client) => [client, 140]));
});

test('with a spent day every client fails soon, and none hangs', async () => {
  const outcomes = await readWithEach({ perDay: 100 }, 1, async (url, headers, read) => {
    // It has connected, and what takes long the first time is done.
    await read(`0x${'0'.repeat(40)}`);
    const ask = (body: unknown) => fetch(url, { method: 'POST', body: JSON.stringify(body), headers });
    const left = Number(/"day";r=(\d+)/.exec((await ask([])).headers.get('ratelimit') ?? '')?.[1]);
    await ask(Array.from({ length: left }, (_, id) => ({ jsonrpc: '2.0', id, method: 'eth_chainId' })));
  });
  for (const [client, { passed, seconds }] of Object.entries(outcomes)) {
    expect([client, passed, seconds < 2]).toEqual([client, 0, true]);
  }
});
