import type { IncomingHttpHeaders } from 'node:http';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { JsonRpcProvider, keccak256 } from 'ethers';
import type { RequestHandler } from 'express';
import { createPublicClient, http } from 'viem';
import { Web3 } from 'web3';
import { hashSecret } from '../../lib';
import type { Decision, KeySettingsInput, RpcGuardOptions } from '../../lib';
import { startAnvil } from '../support/anvil';
import type { Anvil } from '../support/anvil';
import { endAfterTest } from '../support/cleanup';
import { curl, hasCurl, shell } from '../support/curl';
import type { Finished } from '../support/curl';
import { KEY, call, guardedApp, post } from '../support/guarded-app';
import type { GuardedApp } from '../support/guarded-app';
import {
  CHAIN_ID,
  DEV_ACCOUNT,
  ethers,
  ethersBigBatches,
  ethersProvider,
  ethersUnbatched,
  viem,
  viemBatched,
  viemPublicClient,
  web3,
  web3Instance,
} from '../support/rpc-clients';
import type { MakeClient, RpcClient } from '../support/rpc-clients';

const SECRET = 'a-secret:with-a-colon-of-the-operators-own';
const NOBODY = '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b';
/** Long enough for clients to send it, and hashed once: that takes half a second. */
const LONG_DATA = `0x${'5a'.repeat(768 * 1024)}`;
const LONG_DATA_HASH = keccak256(LONG_DATA);
const SETTINGS_MESSAGE = 'rejected due to project ID settings';

/**
 * Answers every call with 42 and leaves a log of topic 1:
 * PUSH 1, 0, 0 LOG1; PUSH 42, 0 MSTORE; PUSH 32, 0 RETURN — after a constructor that copies these 17 bytes.
 */
const CONTRACT_CODE = '0x6011600c60003960116000f3600160006000a1602a60005260206000f3';

let anvil: Anvil;
let listed: string;
let unlisted: string;

async function askAnvil(method: string, ...params: readonly unknown[]): Promise<unknown> {
  const answer = await post(anvil.url, call(method, params));
  return (answer.json as { result: unknown }).result;
}

/** A node answers a transaction before it has mined it. */
async function receiptOf(hash: unknown): Promise<{ contractAddress: string }> {
  for (;;) {
    const receipt = (await askAnvil('eth_getTransactionReceipt', hash)) as { contractAddress: string } | null;
    if (receipt !== null) return receipt;
  }
}

async function deploy(): Promise<string> {
  const hash = await askAnvil('eth_sendTransaction', { from: DEV_ACCOUNT, data: CONTRACT_CODE });
  const { contractAddress } = await receiptOf(hash);
  await receiptOf(await askAnvil('eth_sendTransaction', { from: DEV_ACCOUNT, to: contractAddress }));
  return contractAddress;
}

beforeAll(async () => {
  anvil = await startAnvil();
  listed = await deploy();
  unlisted = await deploy();
});

afterAll(() => anvil.stop());

interface GuardedNode extends GuardedApp {
  readonly decisions: Decision[];
  readonly requests: IncomingHttpHeaders[];
}

/** The guard in front of anvil, with a key that has `SECRET`. */
async function guardedNode(
  settings: Omit<KeySettingsInput, 'apiKey' | 'secrets'> = {},
  options: Partial<RpcGuardOptions> = {},
): Promise<GuardedNode> {
  const decisions: Decision[] = [];
  const requests: IncomingHttpHeaders[] = [];
  const app = await guardedApp({
    keys: [{ apiKey: KEY, secrets: [{ hash: hashSecret(SECRET) }], ...settings }],
    before: [
      ((req, _res, next) => {
        requests.push(req.headers);
        next();
      }) as RequestHandler,
    ],
    options: { upstream: anvil.url, onDecision: (decision) => decisions.push(decision), ...options },
  });
  return { ...app, decisions, requests };
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

async function reasonOf(client: RpcClient, promise: Promise<unknown>): Promise<string> {
  return client.refusalIn(await failure(promise)).data.reason;
}

function lower(addresses: readonly string[]): readonly string[] {
  return addresses.map((address) => address.toLowerCase());
}

const CLIENTS: readonly (readonly [string, MakeClient, 'batches' | 'single'])[] = [
  ['ethers, batching by default', ethers, 'batches'],
  ['ethers with batchMaxCount 1', ethersUnbatched, 'single'],
  ['viem', viem, 'single'],
  ['viem with batch: true', viemBatched, 'batches'],
  ['web3.js', web3, 'single'],
];

describe.each(CLIENTS)('%s', (_name, connect, sends) => {
  test.each([
    ['the key alone', undefined],
    ['key and secret', SECRET],
  ])('reads with %s', async (_credentials, secret) => {
    const app = await guardedNode({ requireSecret: secret !== undefined });
    const client = connect(app.rpcUrl, { secret });

    const height = BigInt(String(await askAnvil('eth_blockNumber')));
    expect(await client.blockNumber()).toBe(height);
    expect(await client.chainId()).toBe(BigInt(CHAIN_ID));
    expect(await client.balance(DEV_ACCOUNT)).toBe(
      BigInt(String(await askAnvil('eth_getBalance', DEV_ACCOUNT, 'latest'))),
    );
    expect(await client.callContract(listed)).toBe(42n);
    expect(await client.estimateContractGas(listed)).toBeGreaterThan(21_000n);
    expect(new Set(lower(await client.logsOf([listed, unlisted])))).toEqual(new Set(lower([listed, unlisted])));
    expect(new Set(app.requests.map(({ authorization }) => authorization))).toEqual(
      new Set([secret && `Basic ${Buffer.from(`:${SECRET}`).toString('base64')}`]),
    );
  });

  test.each([
    ['the key alone', undefined],
    ['key and secret', SECRET],
  ])('sends a signed transaction with %s', async (_credentials, secret) => {
    const app = await guardedNode({ requireSecret: secret !== undefined });
    const before = BigInt(String(await askAnvil('eth_getBalance', NOBODY, 'latest')));

    expect(await connect(app.rpcUrl, { secret }).transfer(NOBODY, 5n)).toBe('mined');
    expect(BigInt(String(await askAnvil('eth_getBalance', NOBODY, 'latest')))).toBe(before + 5n);
  });

  test('shows why a call was refused', async () => {
    const app = await guardedNode({ allowlists: { methods: ['eth_blockNumber', 'eth_chainId'] } });
    const client = connect(app.rpcUrl);

    const refusal = client.refusalIn(await failure(client.balance(DEV_ACCOUNT)));
    expect(refusal).toEqual({
      code: -32002,
      message: SETTINGS_MESSAGE,
      data: { reason: 'METHOD_NOT_ALLOWED', requestId: app.decisions.at(-1)?.requestId },
    });
    const blocked = client.refusalIn(await failure(client.send('admin_peers', [])));
    expect(blocked).toMatchObject({
      code: -32601,
      message: 'the method admin_peers does not exist/is not available',
      data: { reason: 'METHOD_BLOCKED' },
    });
    expect(await client.blockNumber()).toBeGreaterThan(0n);
  });

  test('works within a list of contracts, and is refused outside of it', async () => {
    const app = await guardedNode({ allowlists: { contractAddresses: [listed] } });
    const client = connect(app.rpcUrl);

    const outcomes = await Promise.allSettled([
      client.callContract(listed),
      client.callContract(unlisted),
      client.estimateContractGas(listed),
      client.estimateContractGas(unlisted),
      client.logsOf(listed),
      client.logsOf(unlisted),
      client.logsOf([listed, unlisted]),
      client.balance(DEV_ACCOUNT),
      client.blockNumber(),
    ]);

    const shown = outcomes.map((outcome) =>
      outcome.status === 'fulfilled' ? 'went through' : client.refusalIn(outcome.reason).data.reason,
    );
    const NO = 'CONTRACT_ADDRESS_NOT_ALLOWED';
    expect(shown).toEqual(['went through', NO, 'went through', NO, 'went through', NO, NO, NO, 'went through']);
    if (sends === 'single') expect(app.requests.length).toBeGreaterThanOrEqual(outcomes.length);
    else expect(app.requests.length).toBeLessThan(outcomes.length);
  });

  test('sends to a listed address when the sender is listed too, and signs in vain for another', async () => {
    const app = await guardedNode({ allowlists: { contractAddresses: [NOBODY, DEV_ACCOUNT] } });
    const client = connect(app.rpcUrl);

    expect(await client.transfer(NOBODY, 1n)).toBe('mined');
    expect(await reasonOf(client, client.transfer(unlisted, 0n))).toBe('CONTRACT_ADDRESS_NOT_ALLOWED');
  });

  test('sends a transaction with only the usual methods listed', async () => {
    const methods = ['eth_get*', 'eth_call', 'eth_chainId', 'eth_estimateGas', 'eth_sendRawTransaction'];
    const fees = ['eth_gasPrice', 'eth_maxPriorityFeePerGas', 'eth_feeHistory', 'eth_blockNumber', 'net_version'];
    const app = await guardedNode({ allowlists: { methods: [...methods, ...fees] } });
    expect(await connect(app.rpcUrl).transfer(NOBODY, 1n)).toBe('mined');
  });

  test('is known by its User-Agent, or by one of your own', async () => {
    const app = await guardedNode({ allowlists: { userAgents: ['my-backend/'] } });
    await failure(connect(app.rpcUrl).blockNumber());
    expect(app.decisions.at(-1)).toMatchObject({ allowed: false, reason: 'USER_AGENT_NOT_ALLOWED' });

    const named = connect(app.rpcUrl, { headers: { 'User-Agent': 'my-backend/1.2' } });
    expect(await named.blockNumber()).toBeGreaterThan(0n);
  });

  test('passes the allowlists with a secret, where the key says so', async () => {
    const app = await guardedNode({ overrideAllowlists: true, allowlists: { contractAddresses: [listed] } });
    expect(await connect(app.rpcUrl, { secret: SECRET }).callContract(unlisted)).toBe(42n);
    const client = connect(app.rpcUrl);
    expect(await reasonOf(client, client.callContract(unlisted))).toBe('CONTRACT_ADDRESS_NOT_ALLOWED');
  });

  test('sends a body of 1.5 MiB', async () => {
    const app = await guardedNode();
    expect(await connect(app.rpcUrl).send('web3_sha3', [LONG_DATA])).toBe(LONG_DATA_HASH);
  });

  test.each([
    ['a missing secret', {}, 'SECRET_REQUIRED'],
    ['a wrong secret', { secret: 'wrong' }, 'SECRET_INVALID'],
  ])('does not hang on %s', async (_what, options, reason) => {
    const app = await guardedNode({ requireSecret: true });
    const client = connect(app.rpcUrl, options);
    const outcomes = await Promise.allSettled([client.blockNumber(), client.balance(DEV_ACCOUNT)]);

    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(new Set(app.decisions.map((decision) => decision.reason))).toEqual(new Set([reason]));
    // viem shows the status of a refused batch alone: see below.
    if (connect === viemBatched) return;
    for (const outcome of outcomes) {
      expect(client.refusalIn((outcome as PromiseRejectedResult).reason).data.reason).toBe(reason);
    }
  });

  test('does not hang when the upstream is gone', async () => {
    const app = await guardedNode({}, { upstream: 'http://127.0.0.1:1' });
    const client = connect(app.rpcUrl);
    const error = await failure(client.blockNumber());
    if (connect !== viemBatched)
      expect(client.refusalIn(error)).toMatchObject({ code: -32603, message: 'upstream unavailable' });
  });
});

describe('a batch of which some is refused settles call by call', () => {
  test.each([
    ['ethers', ethers],
    ['viem', viemBatched],
  ])('%s', async (_name, connect) => {
    const app = await guardedNode({ allowlists: { contractAddresses: [listed] } });
    const client = connect(app.rpcUrl);
    const [height, ownBalance, answer, otherAnswer, blocked] = await Promise.allSettled([
      client.blockNumber(),
      client.balance(DEV_ACCOUNT),
      client.callContract(listed),
      client.callContract(unlisted),
      client.send('admin_peers', []),
    ]);

    expect(app.requests).toHaveLength(1);
    expect(height.status).toBe('fulfilled');
    expect(answer).toEqual({ status: 'fulfilled', value: 42n });
    for (const { status, reason } of [ownBalance, otherAnswer, blocked] as PromiseRejectedResult[]) {
      expect(status).toBe('rejected');
      expect(client.refusalIn(reason).code).toBe(-32002);
    }
    expect(app.decisions.map(({ reason, methods }) => [reason, methods])).toEqual([
      [undefined, ['eth_blockNumber', 'eth_call']],
      ['CONTRACT_ADDRESS_NOT_ALLOWED', expect.arrayContaining(['eth_getBalance', 'eth_call', 'admin_peers'])],
    ]);
  });

  test('web3.js, with its BatchRequest', async () => {
    const app = await guardedNode({ allowlists: { contractAddresses: [listed] } });
    const batch = new (web3Instance(app.rpcUrl, { secret: SECRET }).BatchRequest)();
    const calls = [
      batch.add({ method: 'eth_chainId', params: [] }),
      batch.add({ method: 'eth_getBalance', params: [DEV_ACCOUNT, 'latest'] }),
      batch.add({ method: 'eth_call', params: [{ to: listed }, 'latest'] }),
    ];
    const settled = Promise.allSettled(calls);
    const answers = await batch.execute({ timeout: 20_000 });

    expect(answers).toHaveLength(3);
    expect(app.requests).toHaveLength(1);
    expect(await settled).toEqual([
      { status: 'fulfilled', value: '0x7a69' },
      {
        status: 'rejected',
        reason: {
          code: -32002,
          message: SETTINGS_MESSAGE,
          data: { reason: 'CONTRACT_ADDRESS_NOT_ALLOWED', requestId: app.decisions[0]?.requestId },
        },
      },
      { status: 'fulfilled', value: `0x${42n.toString(16).padStart(64, '0')}` },
    ]);
  });
});

describe('a batch of 1000 calls', () => {
  test.each([
    ['ethers', ethersBigBatches],
    ['viem', viemBatched],
  ])('%s', async (_name, connect) => {
    const app = await guardedNode({ allowlists: { contractAddresses: [listed] } });
    const client = connect(app.rpcUrl);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 1000 }, (_, n) => client.send('eth_getCode', [n % 10 === 0 ? unlisted : listed, 'latest'])),
    );

    expect(app.requests).toHaveLength(1);
    expect(outcomes.map(({ status }) => status)).toEqual(
      outcomes.map((_, n) => (n % 10 === 0 ? 'rejected' : 'fulfilled')),
    );
  });

  test('web3.js, with its BatchRequest', async () => {
    const app = await guardedNode();
    const batch = new (web3Instance(app.rpcUrl).BatchRequest)();
    const calls = Array.from({ length: 1000 }, () => batch.add({ method: 'eth_chainId', params: [] }));
    await batch.execute({ timeout: 20_000 });
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['0x7a69']));
    expect(app.requests).toHaveLength(1);
  });

  test('of more, ethers and web3.js say how many there may be', async () => {
    const app = await guardedNode({}, { maxBatchSize: 10 });
    const client = ethers(app.rpcUrl);
    const outcomes = await Promise.allSettled(Array.from({ length: 11 }, () => client.send('eth_chainId', [])));
    for (const outcome of outcomes as PromiseRejectedResult[]) {
      expect(client.refusalIn(outcome.reason)).toMatchObject({
        code: -32600,
        message: 'batch larger than 10 calls',
        data: { reason: 'BATCH_TOO_LARGE' },
      });
    }

    const batch = new (web3Instance(app.rpcUrl).BatchRequest)();
    for (let n = 0; n < 11; n++) void batch.add({ method: 'eth_chainId', params: [] });
    expect(await failure(batch.execute({ timeout: 20_000 }))).toMatchObject({
      statusCode: 413,
      data: { reason: 'BATCH_TOO_LARGE' },
    });
  });
});

describe('a refusal, as each library words it', () => {
  test('ethers: the whole request', async () => {
    const app = await guardedNode({ requireSecret: true });
    const error = await failure(ethersProvider(app.rpcUrl).getBlockNumber());
    expect(error).toMatchObject({ code: 'SERVER_ERROR', shortMessage: 'server response 401 Unauthorized' });
    expect(String(error)).toContain('SECRET_REQUIRED');
  });

  test('ethers: a call of a batch', async () => {
    const app = await guardedNode({ allowlists: { methods: ['eth_chainId'] } });
    const provider = ethersProvider(app.rpcUrl);
    const [, error] = await Promise.all([provider.send('eth_chainId', []), failure(provider.getBlockNumber())]);
    expect(error).toMatchObject({
      code: 'UNKNOWN_ERROR',
      shortMessage: 'could not coalesce error',
      error: { code: -32002, message: SETTINGS_MESSAGE, data: { reason: 'METHOD_NOT_ALLOWED' } },
    });
    expect(String(error)).toContain('METHOD_NOT_ALLOWED');
  });

  test('ethers: a blocked method', async () => {
    const app = await guardedNode();
    const provider = ethersProvider(app.rpcUrl);
    const [, error] = await Promise.all([provider.send('eth_chainId', []), failure(provider.send('admin_peers', []))]);
    expect(error).toMatchObject({
      code: 'UNSUPPORTED_OPERATION',
      operation: 'admin_peers',
      info: { error: { data: { reason: 'METHOD_BLOCKED' } } },
    });
  });

  test('ethers without staticNetwork: the first call fails, and the provider goes on asking for the network', async () => {
    const log = jest.spyOn(console, 'log').mockReturnValue();
    const app = await guardedNode({ requireSecret: true });
    const provider = new JsonRpcProvider(app.rpcUrl);
    const event = new Promise((resolve) => void provider.once('error', resolve));
    try {
      expect(String(await failure(provider.getBlockNumber()))).toContain('SECRET_REQUIRED');
      expect(await event).toMatchObject({ code: 'NETWORK_ERROR', info: { error: { code: 'SERVER_ERROR' } } });
    } finally {
      provider.destroy();
      log.mockRestore();
    }
  });

  test('viem: the whole request', async () => {
    const app = await guardedNode({ requireSecret: true });
    const error = await failure(viemPublicClient(app.rpcUrl).getBlockNumber());
    expect(error).toMatchObject({
      name: 'ResourceUnavailableRpcError',
      code: -32002,
      details: SETTINGS_MESSAGE,
      cause: { name: 'RpcRequestError', data: { reason: 'SECRET_REQUIRED' } },
    });
    expect(app.requests).toHaveLength(1);
  });

  test('viem: a call of a batch', async () => {
    const app = await guardedNode({ allowlists: { methods: ['eth_chainId'] } });
    const client = viemPublicClient(app.rpcUrl, {}, { batch: true });
    const [, error] = await Promise.all([client.getChainId(), failure(client.getBlockNumber())]);
    expect(error).toMatchObject({ details: SETTINGS_MESSAGE, cause: { data: { reason: 'METHOD_NOT_ALLOWED' } } });
  });

  test('viem: a blocked method', async () => {
    const app = await guardedNode();
    const error = await failure(viemPublicClient(app.rpcUrl).request({ method: 'admin_peers' } as never));
    expect(error).toMatchObject({ name: 'MethodNotFoundRpcError', cause: { data: { reason: 'METHOD_BLOCKED' } } });
  });

  test('viem: the whole of a batch comes through onFetchResponse alone', async () => {
    const app = await guardedNode({ requireSecret: true });
    const bare = viemPublicClient(app.rpcUrl, {}, { batch: true, retryCount: 0 });
    expect(await failure(bare.getBlockNumber())).toMatchObject({ name: 'HttpRequestError', details: 'Unauthorized' });

    const hooked = viemPublicClient(
      app.rpcUrl,
      {},
      {
        batch: true,
        retryCount: 0,
        async onFetchResponse(response) {
          if (!response.ok) throw new Error(await response.clone().text());
        },
      },
    );
    const error = await failure(hooked.getBlockNumber());
    expect(error).toMatchObject({ name: 'HttpRequestError' });
    expect(String(error)).toContain('SECRET_REQUIRED');
  });

  test('web3.js: the whole request', async () => {
    const app = await guardedNode({ requireSecret: true });
    expect(await failure(web3Instance(app.rpcUrl).eth.getBlockNumber())).toMatchObject({
      name: 'ResponseError',
      statusCode: 401,
      data: { reason: 'SECRET_REQUIRED' },
      cause: { code: -32002, message: SETTINGS_MESSAGE },
    });
  });

  test('web3.js: a call', async () => {
    const app = await guardedNode({ allowlists: { methods: ['eth_chainId'] } });
    expect(await failure(web3Instance(app.rpcUrl).eth.getBlockNumber())).toMatchObject({
      name: 'ResponseError',
      statusCode: 403,
      message: `Returned error: ${SETTINGS_MESSAGE}`,
      data: { reason: 'METHOD_NOT_ALLOWED' },
    });
  });

  test('web3.js: the whole of a BatchRequest', async () => {
    const app = await guardedNode({ requireSecret: true });
    const batch = new (web3Instance(app.rpcUrl).BatchRequest)();
    void batch.add({ method: 'eth_chainId', params: [] });
    expect(await failure(batch.execute({ timeout: 20_000 }))).toMatchObject({
      statusCode: 401,
      data: [{ reason: 'SECRET_REQUIRED' }],
    });
  });
});

describe('with the URL alone, as the manuals write it', () => {
  test('ethers', async () => {
    const app = await guardedNode();
    const provider = new JsonRpcProvider(app.rpcUrl);
    endAfterTest(() => provider.destroy());
    expect(await provider.getBlockNumber()).toBeGreaterThan(0);
    expect((await provider.getNetwork()).chainId).toBe(BigInt(CHAIN_ID));
  });

  test('viem', async () => {
    const app = await guardedNode();
    const client = createPublicClient({ transport: http(app.rpcUrl) });
    expect(await client.getBlockNumber()).toBeGreaterThan(0n);
  });

  test('web3.js', async () => {
    const app = await guardedNode();
    expect(await new Web3(app.rpcUrl).eth.getBlockNumber()).toBeGreaterThan(0n);
  });
});

describe('what each library says it is', () => {
  test.each([
    ['ethers: nothing', ethers, undefined],
    ['viem: its runtime', viem, 'node'],
    ['web3.js: its fetch', web3, 'node-fetch/1.0 (+https://github.com/bitinn/node-fetch)'],
  ])('%s', async (_name, connect, userAgent) => {
    const app = await guardedNode(userAgent === undefined ? {} : { allowlists: { userAgents: [userAgent] } });
    expect(await connect(app.rpcUrl).blockNumber()).toBeGreaterThan(0n);
    expect(app.requests[0]?.['user-agent']).toBe(userAgent);
  });
});

(hasCurl ? describe : describe.skip)('curl', () => {
  const big = JSON.stringify(call('web3_sha3', [LONG_DATA]));

  function json({ code, stdout, stderr }: Finished): Record<string, unknown> {
    if (code !== 0) throw new Error(stderr);
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  describe('as the documents write it', () => {
    const withSecret = (app: GuardedApp, secret: string) => `curl --user :${secret} \\
  ${app.url}/v3/${KEY} \\
  -d '{"jsonrpc": "2.0", "method": "eth_blockNumber", "params": [], "id": 1}'`;

    const getBalance = (app: GuardedApp, address = NOBODY) => `curl ${app.url}/v3/${KEY} \\
-H 'Content-Type: application/json' \\
-X POST \\
-d '{"id":1, "jsonrpc": "2.0", "method": "eth_getBalance","params":["${address}", "latest"]}'`;

    const accounts = (app: GuardedApp, more = '') => `curl ${more} ${app.url}/v3/${KEY} \\
-X POST \\
-H "Content-Type: application/json" \\
-d '{"jsonrpc":"2.0","method":"eth_accounts","params":[],"id":1}'`;

    test('the key and its secret', async () => {
      const app = await guardedNode({ requireSecret: true });
      const result = await askAnvil('eth_blockNumber');
      expect(json(await shell(withSecret(app, SECRET)))).toEqual({ jsonrpc: '2.0', id: 1, result });
      expect(app.requests[0]?.['content-type']).toBe('application/x-www-form-urlencoded');
      expect(json(await shell(withSecret(app, 'wrong')))).toMatchObject({
        id: 1,
        error: { code: -32001, message: 'invalid project id or project secret', data: { reason: 'SECRET_INVALID' } },
      });
    });

    test('a listed address and another', async () => {
      const fresh = '0x00000000000000000000000000000000000abcde';
      const app = await guardedNode({ allowlists: { contractAddresses: [fresh] } });
      const allowed = await shell(getBalance(app, fresh));
      expect(allowed.stdout).toBe('{"jsonrpc":"2.0","id":1,"result":"0x0"}');
      expect(json(await shell(getBalance(app)))).toMatchObject({
        jsonrpc: '2.0',
        error: { code: -32002, message: SETTINGS_MESSAGE },
      });
    });

    test('a listed user agent and its own', async () => {
      const app = await guardedNode({ allowlists: { userAgents: ['Android'] } });
      expect(json(await shell(accounts(app)))).toMatchObject({
        jsonrpc: '2.0',
        error: { code: -32002, message: SETTINGS_MESSAGE },
      });
      const phone = "-A 'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36'";
      expect(json(await shell(accounts(app, phone)))).toHaveProperty('result');
    });

    test('a listed origin', async () => {
      const app = await guardedNode({ allowlists: { origins: ['mydapp.example.com'] } });
      expect(json(await shell(accounts(app)))).toHaveProperty('error.data.reason', 'ORIGIN_NOT_ALLOWED');
      expect(json(await shell(accounts(app, "-H 'Origin: mydapp.example.com'")))).toHaveProperty('result');
      expect(json(await shell(accounts(app, "-H 'Origin: https://mydapp.example.com'")))).toHaveProperty('result');
    });
  });

  test.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ])('a body compressed with %s', async (encoding, compress) => {
    const app = await guardedNode();
    const sent = await curl(
      ['--compressed', '-H', `Content-Encoding: ${encoding}`, '--data-binary', '@-', app.rpcUrl],
      compress(big),
    );
    expect(json(sent)).toEqual({ jsonrpc: '2.0', id: 1, result: LONG_DATA_HASH });
  });

  describe('1.5 MiB', () => {
    test.each([
      ['announced by Expect', []],
      ['announced by Expect, in chunks', ['-H', 'Transfer-Encoding: chunked']],
      ['with key and secret', ['--user', `:${SECRET}`]],
      ['with the key as the user name', ['--user', `${KEY}:${SECRET}`]],
    ])('%s', async (_how, args) => {
      const app = await guardedNode();
      const sent = await curl(['-v', ...args, '--data-binary', '@-', app.rpcUrl], big);
      expect(json(sent)).toEqual({ jsonrpc: '2.0', id: 1, result: LONG_DATA_HASH });
      expect(sent.stderr).toMatch(/^> Expect: 100-continue/m);
      expect(sent.stderr).toMatch(/^< HTTP\/1\.1 100 Continue/m);
    });

    test('without Expect', async () => {
      const app = await guardedNode();
      const sent = await curl(['-H', 'Expect:', '--data-binary', '@-', app.rpcUrl], big);
      expect(json(sent)).toHaveProperty('result', LONG_DATA_HASH);
    });

    test('is refused in words', async () => {
      const app = await guardedNode({ requireSecret: true, allowlists: { methods: ['eth_call'] } });
      const send = (...args: string[]) => curl([...args, '-w', '%{http_code}', '--data-binary', '@-', app.rpcUrl], big);
      const [noSecret, wrongSecret, wrongMethod] = await Promise.all([
        send(),
        send('--user', ':wrong'),
        send('--user', `:${SECRET}`),
      ]);
      expect(noSecret.stdout).toMatch(/"reason":"SECRET_REQUIRED".*401$/);
      expect(wrongSecret.stdout).toMatch(/"reason":"SECRET_INVALID".*401$/);
      expect(wrongMethod.stdout).toMatch(/"reason":"METHOD_NOT_ALLOWED".*403$/);
    });
  });

  test('more than maxBodyBytes, announced and in chunks', async () => {
    const app = await guardedNode();
    const tooBig = JSON.stringify(call('web3_sha3', [`0x${'00'.repeat(2 * 1024 * 1024)}`]));
    const send = (...args: string[]) =>
      curl([...args, '-w', '%{http_code}', '--data-binary', '@-', app.rpcUrl], tooBig);
    for (const { code, stdout } of await Promise.all([
      send(),
      send('-H', 'Expect:'),
      send('-H', 'Transfer-Encoding: chunked'),
    ])) {
      expect(code).toBe(0);
      expect(stdout).toMatch(/"message":"request body larger than 2097152 bytes".*"reason":"BODY_TOO_LARGE".*413$/);
    }
  });

  describe('--http1.0', () => {
    test('a call, a mixed batch and a refusal', async () => {
      const app = await guardedNode({ allowlists: { contractAddresses: [listed] } });
      const chainId = { jsonrpc: '2.0', id: 1, result: '0x7a69' };
      const send = (body: unknown) => curl(['--http1.0', '--data-binary', '@-', app.rpcUrl], JSON.stringify(body));

      expect(json(await send(call('eth_chainId')))).toEqual(chainId);
      expect(json(await send([call('eth_chainId'), call('eth_getCode', [unlisted, 'latest'], 2)]))).toEqual([
        chainId,
        expect.objectContaining({ id: 2, error: expect.objectContaining({ code: -32002 }) as unknown }),
      ]);
      expect(json(await send(call('eth_getCode', [unlisted, 'latest'])))).toHaveProperty('error.code', -32002);
    });

    test('1.5 MiB there and back', async () => {
      const app = await guardedNode();
      const address = '0x00000000000000000000000000000000c0de0001';
      await askAnvil('anvil_setCode', address, LONG_DATA);
      const sent = await curl(['--http1.0', '--data-binary', '@-', app.rpcUrl], big);
      expect(json(sent)).toHaveProperty('result', LONG_DATA_HASH);
      const body = JSON.stringify(call('eth_getCode', [address, 'latest']));
      expect(json(await curl(['--http1.0', '-d', body, app.rpcUrl]))).toHaveProperty('result', LONG_DATA);
    });
  });

  test('another method than POST', async () => {
    const app = await guardedNode();
    for (const args of [['-I'], ['-X', 'PUT', '-d', '{}'], ['-G']]) {
      const sent = await curl([...args, '-D', '-', '-o', '/dev/null', app.rpcUrl]);
      expect(sent.stdout).toMatch(/^HTTP\/1\.1 405 [\s\S]*^Allow: POST, OPTIONS/m);
    }
  });
});
