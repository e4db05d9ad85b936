import type { Socket } from 'node:net';
import { WebSocketProvider } from 'ethers';
import { providers as ethers5 } from 'ethers-5';
import { createPublicClient, http, webSocket } from 'viem';
import type { Transport } from 'viem';
import { Web3, WebSocketProvider as Web3SocketProvider } from 'web3';
import { hashSecret } from '../../lib';
import { startAnvil } from '../support/anvil';
import type { Anvil } from '../support/anvil';
import { endAfterTest } from '../support/cleanup';
import { guardedApp } from '../support/guarded-app';
import { CHAIN_ID, ethersProvider } from '../support/rpc-clients';

/** Clients wait for their limits, the longest of them for 16 s. */
jest.setTimeout(60_000);

const SECRET = 'a-secret-brought-along-from-elsewhere';
const HEADERS = { Authorization: `Basic ${btoa(`:${SECRET}`)}` };

/** Reads the balance of an account. */
type Read = (account: `0x${string}`) => Promise<unknown>;

/** It asks for three things of each account, and does not start where it may ask for none. */
const FORK = 'a fork by anvil';

const CLIENTS: Readonly<Record<string, (url: string, socketUrl: string) => Read | Promise<Read>>> = {
  ethers: (url) => ofEthers(ethersProvider(url, {}, 1)),
  'ethers, in batches': (url) => ofEthers(ethersProvider(url)),
  'ethers, with a secret': (url) => ofEthers(ethersProvider(url, { secret: SECRET }, 1)),
  'ethers, in batches with a secret': (url) => ofEthers(ethersProvider(url, { secret: SECRET })),
  'ethers, WebSocket': (_, url) => {
    const provider = new WebSocketProvider(url, CHAIN_ID, { staticNetwork: true });
    endAfterTest(() => provider.destroy());
    return ofEthers(provider);
  },
  'ethers 5': (url) => ofEthers(new ethers5.StaticJsonRpcProvider(url, CHAIN_ID)),
  'ethers 5, in batches': (url) => ofEthers(new ethers5.JsonRpcBatchProvider(url, CHAIN_ID)),
  'ethers 5, with a secret': (url) => {
    const connection = { url, user: '', password: SECRET, allowInsecureAuthentication: true };
    return ofEthers(new ethers5.StaticJsonRpcProvider(connection, CHAIN_ID));
  },
  viem: (url) => ofViem(http(url)),
  'viem, in batches': (url) => ofViem(http(url, { batch: true })),
  'viem, with a secret': (url) => ofViem(http(url, { fetchOptions: { headers: HEADERS } })),
  'viem, WebSocket': (_, url) => ofViem(webSocket(url, { reconnect: false, keepAlive: false })),
  'web3.js': (url) => ofWeb3(new Web3(url)),
  [FORK]: async (url) => {
    const fork = await startAnvil('--fork-url', url, '--retries', '10', '--timeout', '60000', '--no-rate-limit');
    endAfterTest(() => fork.stop());
    return ofEthers(ethersProvider(fork.url, {}, 1));
  },
  'web3.js, WebSocket': (_, url) => {
    const provider = new Web3SocketProvider(url, {}, { autoReconnect: false });
    endAfterTest(() => {
      provider.disconnect();
    });
    return ofWeb3(new Web3(provider));
  },
};

function ofEthers(provider: { getBalance(account: string): Promise<unknown> }): Read {
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
  clients = Object.keys(CLIENTS),
  before: (url: string, headers: Readonly<Record<string, string>>, read: Read) => Promise<unknown> = () =>
    Promise.resolve(),
): Promise<Record<string, { passed: number; seconds: number }>> {
  const secrets = [{ id: 'server', hash: hashSecret(SECRET), limits }];
  const keys = clients.map((client) => ({
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
  const outcomes = clients.map(async (client) => {
    const rpcUrl = `${url}/v3/${keyOf(client)}`;
    const read = await CLIENTS[client]!(rpcUrl, rpcUrl.replace('http', 'ws').replace('/v3', '/ws/v3'));
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

test('every client gets 140 reads at once through 50 a second and a burst of 100, ethers 50 through 5 and 10', async () => {
  const clients = Object.keys(CLIENTS);
  const patient = clients.filter((client) => client.startsWith('ethers') && !client.endsWith('secret'));
  const [many, few] = await Promise.all([
    readWithEach({ perSecond: 50, burst: 100 }, 140),
    readWithEach({ perSecond: 5, burst: 10 }, 50, patient),
  ]);
  const passed = (outcomes: typeof many) => Object.entries(outcomes).map(([client, { passed }]) => [client, passed]);
  expect(passed(many)).toEqual(clients.map((client) => [client, 140]));
  expect(passed(few)).toEqual(patient.map((client) => [client, 50]));
});

test('with a spent day every client fails soon, and none hangs', async () => {
  const clients = Object.keys(CLIENTS).filter((client) => client !== FORK);
  const outcomes = await readWithEach({ perDay: 100 }, 1, clients, async (url, headers, read) => {
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
