import { Contract, FetchRequest, JsonRpcProvider, Network, Wallet } from 'ethers';
import { RpcRequestError, createPublicClient, createWalletClient, defineChain, http, parseAbi } from 'viem';
import type { Hex, PublicClient } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { HttpProvider, Web3 } from 'web3';
import { endAfterTest } from './cleanup';

/** The first account that anvil makes rich, and its key: both are known to everyone. */
export const DEV_ACCOUNT = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';
const DEV_KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
export const CHAIN_ID = 31337;
const ABI = 'function answer() view returns (uint256)';

/** What a library lets its user see of a refusal. */
export interface SeenRefusal {
  readonly code: number;
  readonly message: string;
  readonly data: { readonly reason: string; readonly requestId: string };
}

/** A library with one way of sending: the same questions for all of them. */
export interface RpcClient {
  blockNumber(): Promise<bigint>;
  chainId(): Promise<bigint>;
  balance(address: string): Promise<bigint>;
  /** Calls `answer()` of a contract through the library's own contract object. */
  callContract(address: string): Promise<bigint>;
  estimateContractGas(address: string): Promise<bigint>;
  /** Addresses of the logs found. */
  logsOf(address: string | readonly string[]): Promise<readonly string[]>;
  send(method: string, params: readonly unknown[]): Promise<unknown>;
  /** Signs with the dev key, sends, waits for the receipt. */
  transfer(to: string, wei: bigint): Promise<'mined' | 'reverted'>;
  /** Where a developer finds the guard's error in what the library has thrown. */
  refusalIn(error: unknown): SeenRefusal;
}

export interface ClientOptions {
  readonly secret?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

export type MakeClient = (url: string, options?: ClientOptions) => RpcClient;

export function ethersProvider(
  url: string,
  { secret, headers = {} }: ClientOptions = {},
  batchMaxCount?: number,
): JsonRpcProvider {
  const request = new FetchRequest(url);
  if (secret !== undefined) {
    request.setCredentials('', secret);
    request.allowInsecureAuthentication = true;
  }
  for (const [name, value] of Object.entries(headers)) request.setHeader(name, value);
  const provider = new JsonRpcProvider(request, Network.from(CHAIN_ID), {
    staticNetwork: true,
    pollingInterval: 20,
    cacheTimeout: -1,
    ...(batchMaxCount !== undefined && { batchMaxCount }),
  });
  endAfterTest(() => provider.destroy());
  return provider;
}

function ethersClient(provider: JsonRpcProvider): RpcClient {
  const contract = (address: string) => new Contract(address, [ABI], provider).getFunction('answer');
  return {
    blockNumber: async () => BigInt(await provider.getBlockNumber()),
    chainId: async () => BigInt(String(await provider.send('eth_chainId', []))),
    balance: (address) => provider.getBalance(address),
    callContract: async (address) => (await contract(address).staticCall()) as bigint,
    estimateContractGas: (address) => contract(address).estimateGas(),
    async logsOf(address) {
      const logs = await provider.getLogs({
        address: typeof address === 'string' ? address : [...address],
        fromBlock: 0,
      });
      return logs.map((log) => log.address);
    },
    send: (method, params) => provider.send(method, [...params]) as Promise<unknown>,
    async transfer(to, wei) {
      const sent = await new Wallet(DEV_KEY, provider).sendTransaction({ to, value: wei });
      return (await sent.wait())?.status === 1 ? 'mined' : 'reverted';
    },
    refusalIn(error) {
      // Alone, a refused call is an HTTP status; in a batch that went through it is an error of the call's own.
      const { info, error: own } = error as {
        error?: SeenRefusal | null;
        info?: { responseBody?: string; error?: SeenRefusal };
      };
      if (info?.responseBody !== undefined) {
        const refused = JSON.parse(info.responseBody) as { error: SeenRefusal } | { error: SeenRefusal }[];
        return [refused].flat()[0]!.error;
      }
      const found = own ?? info?.error;
      if (found === undefined) throw error;
      return found;
    },
  };
}

export const ethers: MakeClient = (url, options) => ethersClient(ethersProvider(url, options));
export const ethersUnbatched: MakeClient = (url, options) => ethersClient(ethersProvider(url, options, 1));
export const ethersBigBatches: MakeClient = (url, options) => ethersClient(ethersProvider(url, options, 1000));

type ViemTransport = ReturnType<typeof http>;

function viemTransport(
  url: string,
  options: ClientOptions = {},
  transport: Parameters<typeof http>[1] = {},
): ViemTransport {
  const { secret, headers = {} } = options;
  const authorization = secret === undefined ? {} : { Authorization: `Basic ${btoa(`:${secret}`)}` };
  return http(url, { retryDelay: 1, fetchOptions: { headers: { ...authorization, ...headers } }, ...transport });
}

const viemChain = defineChain({
  id: CHAIN_ID,
  name: 'anvil',
  nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
  rpcUrls: { default: { http: [] } },
});

export function viemPublicClient(...given: Parameters<typeof viemTransport>): PublicClient<ViemTransport> {
  return createPublicClient({ transport: viemTransport(...given), pollingInterval: 20, cacheTime: 0 });
}

function viemClient(...given: Parameters<typeof viemTransport>): RpcClient {
  const client = viemPublicClient(...given);
  const answer = (address: string) =>
    ({ address: address as Hex, abi: parseAbi([ABI]), functionName: 'answer' }) as const;
  return {
    blockNumber: () => client.getBlockNumber(),
    chainId: async () => BigInt(await client.getChainId()),
    balance: (address) => client.getBalance({ address: address as Hex }),
    callContract: (address) => client.readContract(answer(address)),
    estimateContractGas: (address) => client.estimateContractGas(answer(address)),
    async logsOf(address) {
      const logs = await client.getLogs({ address: address as Hex | Hex[], fromBlock: 0n });
      return logs.map((log) => log.address);
    },
    send: (method, params) => client.request({ method, params } as never),
    async transfer(to, wei) {
      const wallet = createWalletClient({
        account: privateKeyToAccount(DEV_KEY),
        chain: viemChain,
        transport: viemTransport(...given),
      });
      const hash = await wallet.sendTransaction({ to: to as Hex, value: wei });
      const { status } = await client.waitForTransactionReceipt({ hash });
      return status === 'success' ? 'mined' : 'reverted';
    },
    refusalIn(error) {
      const { walk } = error as { walk?: (is: (error: unknown) => boolean) => unknown };
      const found = walk?.call(error, (cause) => cause instanceof RpcRequestError);
      if (!(found instanceof RpcRequestError)) throw error;
      return { code: found.code, message: found.details, data: found.data as SeenRefusal['data'] };
    },
  };
}

export const viem: MakeClient = (url, options) => viemClient(url, options);
export const viemBatched: MakeClient = (url, options) => viemClient(url, options, { batch: true });

export function web3Instance(url: string, { secret, headers = {} }: ClientOptions = {}): Web3 {
  const authorization = secret === undefined ? {} : { Authorization: `Basic ${btoa(`:${secret}`)}` };
  const provider = new HttpProvider(url, { providerOptions: { headers: { ...authorization, ...headers } } });
  // Sending a transaction leaves polls under way, which would be cut off, and complained of, after the test.
  const underWay = new Set<Promise<unknown>>();
  const request = provider.request.bind(provider);
  provider.request = (...args: Parameters<typeof request>) => {
    const answer = request(...args);
    underWay.add(answer);
    return answer as never;
  };
  endAfterTest(() => Promise.allSettled(underWay));
  const web3 = new Web3(provider);
  web3.setConfig({ transactionPollingInterval: 20 });
  return web3;
}

const WEB3_ABI = [
  {
    type: 'function',
    name: 'answer',
    stateMutability: 'view',
    inputs: [],
    outputs: [{ name: '', type: 'uint256' }],
  },
] as const;

export const web3: MakeClient = (url, options) => {
  const library = web3Instance(url, options);
  const answer = (address: string) => {
    const { methods } = new library.eth.Contract(WEB3_ABI, address);
    return methods.answer();
  };
  return {
    blockNumber: () => library.eth.getBlockNumber(),
    chainId: () => library.eth.getChainId(),
    balance: (address) => library.eth.getBalance(address),
    callContract: async (address) => BigInt(String(await answer(address).call())),
    estimateContractGas: (address) => answer(address).estimateGas(),
    async logsOf(address) {
      const logs = await library.eth.getPastLogs({
        address: typeof address === 'string' ? address : [...address],
        fromBlock: '0x0',
      });
      return logs.map((log) => (typeof log === 'string' ? log : (log.address ?? '')));
    },
    send: (method, params) => library.requestManager.send({ method, params }),
    async transfer(to, wei) {
      const { wallet } = library.eth.accounts;
      const [account] = wallet.length > 0 ? wallet : wallet.add(DEV_KEY);
      const { status } = await library.eth.sendTransaction({ from: account?.address ?? '', to, value: wei });
      return status === 1n ? 'mined' : 'reverted';
    },
    refusalIn(error) {
      const { cause } = error as { cause?: SeenRefusal };
      if (cause === undefined) throw error;
      return cause;
    },
  };
};
