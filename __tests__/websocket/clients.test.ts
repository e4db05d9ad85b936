import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text as readAll } from 'node:stream/consumers';
import { Contract, Network, WebSocketProvider as EthersWebSocketProvider, id as keccakOf } from 'ethers';
import { createPublicClient, webSocket } from 'viem';
import type { Hex, PublicClient, WebSocketTransport } from 'viem';
import { Web3, WebSocketProvider as Web3WebSocketProvider } from 'web3';
import { WebSocket } from 'ws';
import { MemoryStore, hashSecret } from '../../lib';
import type { KeySettingsInput } from '../../lib';
import { startAnvil } from '../support/anvil';
import type { Anvil } from '../support/anvil';
import { endAfterTest } from '../support/cleanup';
import { KEY, basic, call, post } from '../support/guarded-app';
import { guardedSockets } from '../support/guarded-sockets';
import type { GuardedSockets } from '../support/guarded-sockets';
import type { Reply } from '../support/reply';
import { CHAIN_ID, DEV_ACCOUNT } from '../support/rpc-clients';
import { until } from '../support/until';

// viem prefers the WebSocket that Node brings from version 22 on, which leaves the credentials of a URL out.
Object.assign(globalThis, { WebSocket });

const SECRET = 'a-secret:with-a-colon/and+more-of-the-operators-own';
const EVENT = { type: 'event', name: 'Ping', inputs: [] } as const;
const ANSWER = {
  type: 'function',
  name: 'answer',
  stateMutability: 'view',
  inputs: [],
  outputs: [{ type: 'uint256' }],
} as const;
const ABI = [EVENT, ANSWER] as const;

/** Leaves a log of `Ping()` and answers every call with 42, after a constructor that copies these 48 bytes. */
const CONTRACT_CODE = `0x6030600c60003960306000f37f${keccakOf('Ping()').slice(2)}60006000a1602a60005260206000f3`;

let anvil: Anvil;
let listed: Hex;
let unlisted: Hex;

async function askAnvil(method: string, ...params: readonly unknown[]): Promise<unknown> {
  return ((await post(anvil.url, call(method, params))).json as Reply).result;
}

async function deploy(): Promise<Hex> {
  const hash = await askAnvil('eth_sendTransaction', { from: DEV_ACCOUNT, data: CONTRACT_CODE });
  // It answers with the hash before it has mined.
  for (;;) {
    const receipt = await askAnvil('eth_getTransactionReceipt', hash);
    if (receipt !== null) return (receipt as { contractAddress: Hex }).contractAddress;
  }
}

/** Makes both contracts leave a log, in one block each. */
async function makeLogs(): Promise<void> {
  for (const to of [unlisted, listed]) await askAnvil('eth_sendTransaction', { from: DEV_ACCOUNT, to });
}

beforeAll(async () => {
  anvil = await startAnvil();
  listed = await deploy();
  unlisted = await deploy();
});

afterAll(() => anvil.stop());

interface GuardedNode extends GuardedSockets {
  readonly store: MemoryStore;
}

/** The guard in front of anvil, with a key that requires `SECRET` and lists one contract. */
async function guardedNode(settings: Omit<KeySettingsInput, 'apiKey'> = {}): Promise<GuardedNode> {
  const store = new MemoryStore([
    {
      apiKey: KEY,
      requireSecret: true,
      secrets: [{ hash: hashSecret(SECRET) }],
      allowlists: { contractAddresses: [listed] },
      ...settings,
    },
  ]);
  const app = await guardedSockets({ store, options: { upstream: anvil.url } });
  return { ...app, store };
}

/** What a promise is rejected with. */
async function failure(promise: Promise<unknown>): Promise<unknown> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ('error' in outcome) return outcome.error;
  throw new Error(`it went through: ${String(outcome.value)}`);
}

const REFUSED = {
  code: -32002,
  message: 'rejected due to project ID settings',
  data: { reason: 'CONTRACT_ADDRESS_NOT_ALLOWED' },
};

/** What each library does over one socket. */
interface SocketClient {
  blockNumber(): Promise<bigint>;
  callContract(address: Hex): Promise<bigint>;
  /** Resolves once subscribed; `onBlock` is told the number of each block. */
  watchBlocks(onBlock: (number: bigint) => void): Promise<void>;
  /** Resolves once subscribed; `onLog` is told the address of each log. */
  watchEvents(address: Hex, onLog: (address: string) => void): Promise<void>;
  /** A subscription to logs that is refused. */
  watchInVain(address: Hex): Promise<unknown>;
  /** Ends all that was watched. */
  unwatch(): Promise<void>;
  /** Where a developer finds the guard's error in what the library has thrown. */
  errorIn(error: unknown): unknown;
  /** The code that the socket was closed with. */
  readonly closed: Promise<number>;
}

type Connect = (app: GuardedNode, secret?: string) => Promise<SocketClient>;

const ethers: Connect = async (app, secret = SECRET) => {
  let socket: WebSocket | undefined;
  const provider = new EthersWebSocketProvider(
    () => (socket = new WebSocket(app.socketUrl, { headers: basic(secret) })),
    Network.from(CHAIN_ID),
    { staticNetwork: true, cacheTimeout: -1 },
  );
  endAfterTest(() => provider.destroy());
  // Without a listener of its own the refusal of a handshake is an uncaught exception.
  const closed = new Promise<number>((resolve) => socket?.on('close', resolve).on('error', () => undefined));
  await once(socket!, 'open');
  const contract = (address: Hex) => new Contract(address, ABI, provider);
  return {
    closed,
    blockNumber: async () => BigInt(await provider.getBlockNumber()),
    callContract: async (address) => (await contract(address).getFunction('answer').staticCall()) as bigint,
    async watchBlocks(onBlock) {
      await provider.on('block', (number: number) => {
        onBlock(BigInt(number));
      });
    },
    async watchEvents(address, onLog) {
      await contract(address).on('Ping', ({ log }: { log: { address: string } }) => {
        onLog(log.address);
      });
    },
    // Refused within contract.on() it would be an unhandled rejection.
    watchInVain: (address) => provider.send('eth_subscribe', ['logs', { address }]) as Promise<unknown>,
    async unwatch() {
      await provider.removeAllListeners();
    },
    errorIn: (error) => (error as { error?: unknown }).error ?? (error as { info?: { error?: unknown } }).info?.error,
  };
};

const viem: Connect = async (app, secret = SECRET) => {
  const url = app.socketUrl.replace('ws://', `ws://:${encodeURIComponent(secret)}@`);
  const client: PublicClient<WebSocketTransport> = createPublicClient({
    transport: webSocket(url, { reconnect: false, retryCount: 0 }),
    cacheTime: 0,
  });
  const rpc = await client.transport.getRpcClient();
  endAfterTest(() => {
    rpc.close();
  });
  const closed = new Promise<number>((resolve) => {
    rpc.socket.addEventListener('close', ({ code }) => {
      resolve(code);
    });
  });
  const unwatch: (() => void)[] = [];
  const socketClient: SocketClient = {
    closed,
    blockNumber: () => client.getBlockNumber(),
    callContract: (address) => client.readContract({ address, abi: ABI, functionName: 'answer' }),
    watchBlocks(onBlock) {
      unwatch.push(
        client.watchBlocks({
          onBlock({ number }) {
            onBlock(number);
          },
        }),
      );
      return Promise.resolve();
    },
    watchEvents(address, onLog) {
      return new Promise((resolve, reject) => {
        unwatch.push(
          client.watchContractEvent({
            address,
            abi: ABI,
            eventName: 'Ping',
            onLogs(logs) {
              for (const log of logs) onLog(log.address);
            },
            onError: reject,
          }),
        );
        // A call sent after it is answered after it.
        client.getChainId().then(() => {
          resolve();
        }, reject);
      });
    },
    watchInVain: (address) => socketClient.watchEvents(address, () => undefined),
    unwatch() {
      for (const end of unwatch) end();
      return Promise.resolve();
    },
    errorIn(error) {
      const { walk } = error as { walk?: (is: (cause: unknown) => boolean) => unknown };
      const found = walk?.call(error, (cause) => (cause as Error).name === 'RpcRequestError') ?? error;
      const { code, data, details, message } = found as Record<string, unknown>;
      return { code, data, message: details ?? message };
    },
  };
  return socketClient;
};

const web3: Connect = async (app, secret = SECRET) => {
  const provider = new Web3WebSocketProvider(app.socketUrl, { headers: basic(secret) }, { autoReconnect: false });
  const closed = new Promise<number>((resolve) => {
    provider.on('disconnect', ({ code }: { code: number }) => {
      resolve(code);
    });
  });
  endAfterTest(() => {
    provider.disconnect();
  });
  await new Promise<void>((resolve, reject) => {
    provider.on('connect', () => {
      resolve();
    });
    provider.on('error', reject);
  });
  const library = new Web3(provider);
  const contract = (address: Hex) => new library.eth.Contract([ANSWER] as const, address);
  const socketClient: SocketClient = {
    closed,
    blockNumber: () => library.eth.getBlockNumber(),
    callContract: async (address) => BigInt(String(await contract(address).methods.answer!().call())),
    async watchBlocks(onBlock) {
      const subscription = await library.eth.subscribe('newBlockHeaders');
      subscription.on('data', ({ number }) => {
        onBlock(BigInt(number ?? -1));
      });
    },
    async watchEvents(address, onLog) {
      const subscription = await library.eth.subscribe('logs', { address, topics: [keccakOf('Ping()')] });
      subscription.on('data', (log) => {
        onLog(log.address);
      });
    },
    watchInVain: (address) => socketClient.watchEvents(address, () => undefined),
    async unwatch() {
      await library.eth.clearSubscriptions();
    },
    errorIn: (error) => (error as { cause?: unknown }).cause ?? (error as { innerError?: unknown }).innerError ?? error,
  };
  return socketClient;
};

/** Ends what a client watches, and waits until the node has been told so. */
async function unwatched(app: GuardedNode, client: SocketClient): Promise<void> {
  await client.unwatch();
  await until(() => app.decisions.some(({ methods }) => methods.includes('eth_unsubscribe')));
  await client.blockNumber();
}

describe.each([
  ['ethers WebSocketProvider', ethers],
  ['viem webSocket', viem],
  ['web3.js WebSocketProvider', web3],
])('%s', (name, connect) => {
  test('asks, with the secret', async () => {
    const client = await connect(await guardedNode());
    expect(await client.blockNumber()).toBe(BigInt(String(await askAnvil('eth_blockNumber'))));
    expect(await client.callContract(listed)).toBe(42n);
    expect(await Promise.all(Array.from({ length: 50 }, () => client.callContract(listed)))).toEqual(
      Array(50).fill(42n),
    );
  });

  test('sees why a call was refused, and goes on', async () => {
    const client = await connect(await guardedNode());
    expect(client.errorIn(await failure(client.callContract(unlisted)))).toMatchObject(REFUSED);
    expect(await client.callContract(listed)).toBe(42n);
  });

  test('watches blocks', async () => {
    const app = await guardedNode();
    const client = await connect(app);
    const blocks: bigint[] = [];
    await client.watchBlocks((number) => blocks.push(number));
    await until(() => app.decisions.some(({ methods }) => methods.includes('eth_subscribe')));
    await client.blockNumber();
    const height = BigInt(String(await askAnvil('eth_blockNumber')));
    await askAnvil('anvil_mine', '0x3', '0x1');
    await until(() => blocks.includes(height + 3n));
    await unwatched(app, client);
  });

  test('watches the events of a listed contract, and of no other', async () => {
    const app = await guardedNode();
    const client = await connect(app);
    const logs: string[] = [];
    await client.watchEvents(listed, (address) => logs.push(address.toLowerCase()));
    await until(() => app.decisions.some(({ methods }) => methods.includes('eth_subscribe')));
    await client.blockNumber();
    await makeLogs();
    await until(() => logs.length > 0);
    expect(logs).toEqual([listed.toLowerCase()]);
    await unwatched(app, client);
  });

  test('watches the events of an unlisted contract in vain', async () => {
    const app = await guardedNode();
    const client = await connect(app);
    expect(client.errorIn(await failure(client.watchInVain(unlisted)))).toMatchObject(REFUSED);
    expect(app.decisions.filter(({ allowed }) => !allowed)).toMatchObject([{ methods: ['eth_subscribe'] }]);
    expect(await client.callContract(listed)).toBe(42n);
  });

  test('does not hang on a wrong secret', async () => {
    const app = await guardedNode();
    const error = await failure(connect(app, 'wrong'));
    expect(error).toBeDefined();
    expect(app.decisions.map(({ reason }) => reason)).toEqual(['SECRET_INVALID']);
    if (name.startsWith('ethers')) expect(String(error)).toContain('401');
  });

  test('sees its socket closed with 1008 when its secret is revoked', async () => {
    const app = await guardedNode();
    const client = await connect(app);
    await client.watchBlocks(() => undefined);
    await client.blockNumber();
    await app.store.set({ apiKey: KEY, requireSecret: true, secrets: [] });
    expect(await client.closed).toBe(1008);
  });
});

describe('wscat', () => {
  const wscat = (app: GuardedNode, ...args: readonly string[]) => {
    const child = spawn(process.execPath, [require.resolve('wscat/bin/wscat'), '-c', app.socketUrl, ...args]);
    endAfterTest(async () => {
      if (child.exitCode !== null) return;
      const exited = once(child, 'exit');
      child.kill();
      await exited;
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const lines = () => output.split('\n').map((line) => line.replace(/^(?:> )+/, ''));
    return {
      stdin: child.stdin,
      stderr: readAll(child.stderr),
      exited: once(child, 'exit'),
      line: async (n: number) => {
        await until(() => lines().length > n + 1);
        return JSON.parse(lines()[n] ?? '') as Reply;
      },
    };
  };
  const ASK = '{"jsonrpc": "2.0", "method": "eth_blockNumber", "params": [], "id": 1}';

  test('as the documents write it: --auth ":SECRET", then a line typed in', async () => {
    const app = await guardedNode();
    const { exited, line, stdin } = wscat(app, '--auth', `:${SECRET}`);
    // What is typed before it has connected is lost, and nothing tells when that is.
    const typing = setInterval(() => stdin.write(`${ASK}\n`), 50);
    const answer = await line(0).finally(() => {
      clearInterval(typing);
    });
    expect(answer).toEqual({ jsonrpc: '2.0', id: 1, result: await askAnvil('eth_blockNumber') });
    stdin.end();
    await exited;
  });

  test('--execute, with a subscription', async () => {
    const app = await guardedNode();
    const subscribe = JSON.stringify(call('eth_subscribe', ['logs', { address: listed }]));
    const refused = JSON.stringify(call('eth_subscribe', ['logs', {}], 2));
    const { line } = wscat(app, '--auth', `:${SECRET}`, '--wait=-1', '-x', subscribe, '-x', refused);
    const answers = [await line(0), await line(1)].sort((a, b) => Number(a.id) - Number(b.id));
    expect(answers[1]?.error).toMatchObject(REFUSED);
    await makeLogs();
    expect(await line(2)).toMatchObject({
      method: 'eth_subscription',
      params: { subscription: answers[0]?.result, result: { address: listed } },
    });
  });

  test('with a wrong secret or none says 401', async () => {
    const app = await guardedNode();
    for (const args of [['--auth', ':wrong'], ['--auth', SECRET], []]) {
      const { exited, stderr } = wscat(app, ...args);
      await exited;
      expect(await stderr).toBe('error: Unexpected server response: 401\n');
    }
  });
});
