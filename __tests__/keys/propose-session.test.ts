import { execFile } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import express from 'express';
import type { Browser } from 'playwright-core';
import { getAddress } from 'ethers';
import { KeyManager, MemoryStore, rpcGuard } from '../../lib';
import type { Allowlists, Decision } from '../../lib';
import { HOUR_MS, hourOf } from '../../lib/stores/usage-store';
import type { UsageRow } from '../../lib/stores/usage-store';
import { startAnvil } from '../support/anvil';
import type { Anvil } from '../support/anvil';
import { inBrowser, launchChromium } from '../support/chromium';
import { endAfterTest } from '../support/cleanup';
import { stopLimitsClock } from '../support/fake-clock';
import { call, post } from '../support/guarded-app';
import { proxyUnderTest } from '../support/proxy-under-test';
import { CHAIN_ID, ethers, viem } from '../support/rpc-clients';
import { until } from '../support/until';

/** The demo's page and scripts of two libraries, against a node: lists proposed from what they did cover it. */
const DEMO = resolve(__dirname, '../../demo-app');
const HOST = 'dapp.example.com';
const PAGE_KEY = 'the-key-of-the-page';
const SCRIPT_KEY = 'the-key-of-scripts';
const UNLISTED = '0xdac17f958d2ee523a2206206994597c13d831ec7';
const PAYEE = '0x00000000000000000000000000000000000a11ce';

let anvil: Anvil | undefined;
let browser: Browser | undefined;
beforeAll(async () => {
  if (inBrowser !== test) return;
  [anvil, browser] = await Promise.all([startAnvil(), launchChromium(`--host-resolver-rules=MAP ${HOST} 127.0.0.1`)]);
});
afterAll(() => Promise.all([browser?.close(), anvil?.stop()]));

/** The demo's contract, put on the node as the demo does. */
async function deploy(): Promise<string> {
  const code = `import { deployContract } from './contract.mjs'; console.log(await deployContract(process.argv[1]))`;
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code, anvil!.url], { cwd: DEMO });
  return stdout.trim();
}

/** A backend with the guard in it, and the demo's page. */
async function backend(contract: string) {
  const store = new MemoryStore([PAGE_KEY, SCRIPT_KEY].map((apiKey) => ({ apiKey })));
  const decisions: Decision[] = [];
  const onDecision = (decision: Decision) => decisions.push(decision);
  const guard = rpcGuard({ upstream: anvil!.url, store, onDecision, ...proxyUnderTest });
  const app = express();
  app.use(guard);
  app.use(express.static(join(DEMO, 'public')));
  app.use('/vendor/ethers', express.static(resolve(dirname(require.resolve('ethers')), '../dist')));
  app.get('/api/dapp', (_req, res) => void res.json({ apiKey: PAGE_KEY, contract, chainId: CHAIN_ID }));
  app.get('/api/notes', (_req, res) => void res.json([]));
  const server = app.listen(0, '127.0.0.1');
  server.on('upgrade', guard.upgrade);
  await once(server, 'listening');
  endAfterTest(async () => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await Promise.all([guard.close(), closed]);
  });
  return { store, decisions, port: (server.address() as AddressInfo).port };
}

/** Opens the page, which reads the chain and follows its blocks, and presses what reads the listed contract. */
async function usePage(url: string): Promise<void> {
  const context = await browser!.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  await page.goto(url);
  await page.getByText('Live', { exact: true }).waitFor();
  for (let round = 0; round < 3; round++) {
    await page.getByRole('button', { name: 'Read again' }).click();
    await page.locator('#chain[aria-busy=false]').waitFor();
  }
  await page.getByRole('button', { name: 'Read the listed contract' }).click();
  await page.locator('#answer .verdict', { hasText: 'Allowed' }).waitFor();
  await context.close();
}

/** What servers of a dapp do: read, look for logs, pay. */
async function runScripts(url: string, contract: string): Promise<void> {
  for (const make of [ethers, viem]) {
    const client = make(url, { headers: { 'User-Agent': 'billing/2.1 (node)' } });
    await client.send('eth_call', [{ to: contract, data: '0x95d89b41' }, 'latest']);
    for (let round = 0; round < 2; round++) await Promise.all([client.chainId(), client.balance(PAYEE)]);
    await client.logsOf(contract);
    expect(await client.transfer(PAYEE, 1n)).toBe('mined');
  }
}

const ALL = { from: '2000-01-01T00:00:00Z', to: '2100-01-01T00:00:00Z' };

async function countedOf(store: MemoryStore): Promise<number> {
  return (await store.usage.read({ ...ALL, kinds: ['total'] })).reduce((sum, { calls }) => sum + calls, 0);
}

/** Counts what was counted as often as if it had happened every other hour for two days. */
async function repeatBefore(store: MemoryStore): Promise<void> {
  const rows = await store.usage.read(ALL);
  for (let ago = 2; ago <= 48; ago += 2) {
    const moved = ({ hour, lastAt }: UsageRow) => ({
      hour: hourOf(Date.parse(hour) - ago * HOUR_MS),
      lastAt: lastAt - ago * HOUR_MS,
    });
    await store.usage.write(rows.map((row) => ({ ...row, ...moved(row), instance: 'before' })));
  }
}

async function accept(manager: KeyManager, apiKey: string): Promise<Partial<Allowlists>> {
  const proposal = await manager.propose(apiKey);
  expect(proposal.togetherAtMost).toBe(0);
  const ticked = Object.entries(proposal.lists).map(([type, { entries }]) => [
    type,
    entries.filter(({ isTicked }) => isTicked).map(({ entry }) => entry),
  ]);
  const lists = Object.fromEntries(ticked.filter(([, entries]) => entries!.length > 0)) as Partial<Allowlists>;
  await manager.applyProposal(apiKey, { lists, reportOnly: false });
  return lists;
}

inBrowser(
  "lists proposed from what the demo's page and scripts did refuse nothing of it, and the demo's attacks",
  async () => {
    const clock = stopLimitsClock(Date.now());
    const contract = await deploy();
    const { store, decisions, port } = await backend(contract);
    const pageUrl = `http://${HOST}:${String(port)}`;
    const at = (apiKey: string) => `http://127.0.0.1:${String(port)}/v3/${apiKey}`;
    const session = () => Promise.all([usePage(pageUrl), runScripts(at(SCRIPT_KEY), contract)]);
    await session();
    await until(async () => {
      await clock.pass(10_000);
      return (await countedOf(store)) === decisions.reduce((sum, { methods }) => sum + methods.length, 0);
    });
    await repeatBefore(store);

    const manager = new KeyManager(store);
    expect(await accept(manager, PAGE_KEY)).toEqual({
      origins: [pageUrl],
      contractAddresses: [expect.stringMatching(new RegExp(contract, 'i'))],
      methods: expect.arrayContaining(['eth_call', 'eth_subscribe']) as unknown,
    });
    expect(await accept(manager, SCRIPT_KEY)).toMatchObject({
      userAgents: ['billing'],
      contractAddresses: expect.arrayContaining([getAddress(PAYEE)]) as unknown,
      methods: expect.arrayContaining(['eth_getLogs', 'eth_sendRawTransaction']) as unknown,
    });

    decisions.length = 0;
    await session();
    expect(decisions.length).toBeGreaterThan(30);
    expect(decisions.filter(({ allowed }) => !allowed)).toEqual([]);

    const balanceOf = call('eth_getBalance', [UNLISTED, 'latest']);
    const attacks: readonly (readonly [key: string, body: unknown, headers: Record<string, string>, reason: string])[] =
      [
        [PAGE_KEY, call('eth_chainId'), {}, 'ORIGIN_NOT_ALLOWED'],
        [PAGE_KEY, call('eth_chainId'), { Origin: 'https://evil.example' }, 'ORIGIN_NOT_ALLOWED'],
        [PAGE_KEY, balanceOf, { Origin: pageUrl }, 'CONTRACT_ADDRESS_NOT_ALLOWED'],
        [PAGE_KEY, call('eth_gasPrice'), { Origin: pageUrl }, 'METHOD_NOT_ALLOWED'],
        [SCRIPT_KEY, call('eth_chainId'), { 'User-Agent': 'Wget/1.24' }, 'USER_AGENT_NOT_ALLOWED'],
        [SCRIPT_KEY, balanceOf, { 'User-Agent': 'billing/3' }, 'CONTRACT_ADDRESS_NOT_ALLOWED'],
        [SCRIPT_KEY, call('admin_peers'), { 'User-Agent': 'billing/3' }, 'CONTRACT_ADDRESS_NOT_ALLOWED'],
      ];
    for (const [key, body, headers, reason] of attacks) {
      const json: unknown = (await post(at(key), body, headers)).json;
      expect([body, (json as { error?: { data: { reason: string } } }).error?.data.reason]).toEqual([body, reason]);
    }
  },
  30_000,
);
