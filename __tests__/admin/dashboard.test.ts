import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Browser, Page, Route } from 'playwright-core';
import { KeyManager } from '../../lib';
import type { KeyView, NewKey } from '../../lib';
import type { RpcGuardAdminOptions } from '../../lib/admin';
import { hourOf } from '../../lib/stores/usage-store';
import { adminApp } from '../support/admin-app';
import type { AdminApp } from '../support/admin-app';
import { inBrowser, launchChromium } from '../support/chromium';
import { endAfterTest } from '../support/cleanup';
import { hasCurl } from '../support/curl';
import { basic, call, post } from '../support/guarded-app';
import { until } from '../support/until';
import { putTraffic } from '../support/used-key';

/** The page is the one in dist/: the tests need an up-to-date build. */
const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const LISTED = '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b';
const UNLISTED = '0xdac17f958d2ee523a2206206994597c13d831ec7';
/** Long enough for a crowded machine, short enough to say which step hung. */
const PATIENCE_MS = 10_000;
/** The longest takes 8 s alone, and three times that among others on two cores. */
jest.setTimeout(60_000);

let browser: Browser | undefined;
/** One for all tests: each would be a window, whose frame takes Chromium more time than the dashboard. */
let tab: Page | undefined;

beforeAll(async () => {
  if (inBrowser !== test) return;
  browser = await launchChromium();
  const permissions = ['clipboard-read', 'clipboard-write'];
  tab = await (await browser.newContext({ locale: 'en-GB', permissions })).newPage();
  tab.setDefaultTimeout(PATIENCE_MS);
});

afterAll(() => browser?.close());

describe('The guard follows what is done on the page', () => {
  inBrowser('a key is let in when it is made and refused when it is switched off', async () => {
    const app = await startApp();
    const { page } = await openPage(app);
    await page.getByRole('heading', { name: 'No keys yet' }).waitFor();

    await page.getByRole('button', { name: 'New key' }).click();
    await page.getByRole('textbox', { name: 'Name' }).fill('Checkout');
    await page.getByRole('button', { name: 'Create key' }).click();
    await page.getByRole('heading', { name: 'Checkout' }).waitFor();
    expect(await page.title()).toBe('Settings · Checkout · rpc-guard');
    const url = await rpcUrl(app, page);
    expect(await verdict(url)).toBe(200);

    await page.getByRole('switch', { name: 'Enabled' }).click();
    await save(page);
    await expectVerdict(url, 'KEY_DISABLED');
  });

  inBrowser('a secret is required, added, rotated with a grace time and revoked', async () => {
    const app = await startApp([{ name: 'Checkout' }]);
    const { page } = await openPage(app, 'Checkout');
    const url = await rpcUrl(app, page);

    await page.getByRole('switch', { name: 'Require API key secret' }).click();
    await page.getByText('every request would be refused').waitFor();
    await save(page);
    await expectVerdict(url, 'SECRET_REQUIRED');

    await page.getByRole('button', { name: 'Add secret' }).click();
    await page.getByLabel('Label').fill('billing');
    await page.getByRole('dialog').getByRole('button', { name: 'Add secret' }).click();
    const first = await takeSecret(page);
    await expectVerdict(url, 200, basic(first));

    await page.getByRole('button', { name: 'Rotate the secret billing' }).click();
    await page.getByLabel('1 hour').check();
    await page.getByText('The old secret is valid until').waitFor();
    await page.getByRole('button', { name: 'Rotate', exact: true }).click();
    const second = await takeSecret(page);
    await expectVerdict(url, 200, basic(second));
    expect(await verdict(url, basic(first))).toBe(200);

    await page.getByRole('button', { name: 'Rotate the secret billing' }).last().click();
    await page.getByLabel('None').check();
    await page.getByRole('button', { name: 'Rotate', exact: true }).click();
    const third = await takeSecret(page);
    await expectVerdict(url, 'SECRET_INVALID', basic(second));
    expect(await verdict(url, basic(third))).toBe(200);

    await page
      .locator('tr', { hasText: third.slice(0, 8) })
      .getByRole('button', { name: 'Revoke' })
      .click();
    await page.getByRole('alertdialog').getByRole('button', { name: 'Revoke' }).click();
    await page.getByText('Secret revoked').waitFor();
    await expectVerdict(url, 'SECRET_INVALID', basic(third));
  });

  inBrowser(
    'a secret is seen once: not in the address, the title, the storage, the console or the page after',
    async () => {
      const app = await startApp();
      const { page, said } = await openPage(app);
      await page.getByRole('button', { name: 'New key' }).click();
      await page.getByRole('textbox', { name: 'Name' }).fill('Server');
      await page.getByRole('switch', { name: 'Require' }).click();
      await page.getByRole('button', { name: 'Create key' }).click();
      const secret = await takeSecret(page);

      const kept = await page.evaluate<string>(
        'JSON.stringify([location.href, document.title, localStorage, sessionStorage, document.cookie, history.state])',
      );
      expect([kept, await page.content(), ...said()].filter((text) => text.includes(secret))).toEqual([]);
    },
  );

  inBrowser('a list reports only, says so on every tab, and refuses again', async () => {
    const app = await startApp([{ name: 'Checkout', allowlists: { origins: ['https://a.example'] } }]);
    const { page } = await openPage(app, 'Checkout');
    const url = await rpcUrl(app, page);
    expect(await verdict(url)).toBe('ORIGIN_NOT_ALLOWED');
    await page.getByRole('tab', { name: 'Allowlists' }).click();
    const reportOnly = page.getByRole('region', { name: 'Origins' }).getByRole('switch', { name: 'Report only' });
    await reportOnly.click();
    await expectVerdict(url, 200);
    await page.getByRole('tab', { name: 'Settings' }).click();
    await page.getByText('Report only: Origins. What this list would refuse passes.').waitFor();
    await page.getByRole('tab', { name: 'Allowlists' }).click();
    await reportOnly.click();
    await expectVerdict(url, 'ORIGIN_NOT_ALLOWED');
    await page.getByText('What this list would refuse passes.').waitFor({ state: 'detached' });
  });

  inBrowser(
    'a refusal is found by its request id, and leads to its list and to the tester, which change nothing',
    async () => {
      const app = await startApp([{ name: 'Checkout', allowlists: { methods: ['eth_call'] } }]);
      const apiKey = await putRefusal(app);
      const { page } = await openPage(app);
      await page.getByRole('searchbox').fill('id-of-support');
      await page.getByRole('link', { name: 'Usage of the key' }).click();
      await page.getByRole('img', { name: 'Calls each hour: 4 in all' }).waitFor();
      await page.getByText('As a table').click();
      await page.getByRole('columnheader', { name: 'Refused' }).first().waitFor();

      await page.getByRole('button', { name: 'Allow this…' }).click();
      const field = page.getByRole('region', { name: 'Methods' }).getByRole('combobox');
      await until(async () => (await field.inputValue()) === 'eth_getLogs');
      await page.getByRole('tab', { name: 'Usage' }).click();
      await page.getByRole('button', { name: 'Test this' }).click();
      expect(await page.getByLabel('Method', { exact: true }).inputValue()).toBe('eth_getLogs');
      expect(await page.getByLabel('User-Agent').inputValue()).toBe('ethers');
      expect((await app.store.get(apiKey))!.allowlists.methods).toEqual(['eth_call']);
    },
  );

  inBrowser(
    'the list of keys tells the busiest, the most refused and the unused, and a key tells of 1 h to 90 d',
    async () => {
      const app = await startApp([{ name: 'Checkout' }, { name: 'Billing' }]);
      await app.store.set({ apiKey: 'left-behind', name: 'Left behind', createdAt: '2020-01-31T00:00:00.000Z' });
      const { keys } = await app.manager.list();
      const keyOf = (name: string) => keys.find((key) => key.name === name)!.apiKey;
      await putTraffic(app.store, keyOf('Checkout'), [
        { kind: 'method', name: 'eth_call', calls: 7, hoursAgo: 0 },
        { kind: 'method', name: 'eth_getLogs', calls: 9, hoursAgo: 20 * 24 },
      ]);
      const refused = { calls: 40, credits: 0, bytesIn: 0, bytesOut: 0, upstreamErrors: 0, lastAt: Date.now() };
      const of = {
        hour: hourOf(Date.now()),
        instance: 'a',
        kind: 'total',
        name: '',
        outcome: 'ORIGIN_NOT_ALLOWED',
      } as const;
      await app.store.usage!.write([{ ...of, ...refused, apiKey: keyOf('Billing'), requests: 40, peak: 0 }]);
      const { page } = await openPage(app);
      const told = page.getByLabel('Usage of all keys').locator('div');
      await told.filter({ hasText: 'Busiest' }).getByText('Checkout 500').waitFor();
      await told.filter({ hasText: 'Most refused' }).getByText('Billing 40').waitFor();
      await told.filter({ hasText: 'Unused for 30 days' }).getByText('Left behind').waitFor();
      expect(await told.filter({ hasText: 'Unused' }).getByRole('link').count()).toBe(1);

      await told.getByRole('link', { name: 'Left behind' }).click();
      await page.getByText('Nothing was counted in this time.').waitFor();
      await page.getByRole('link', { name: 'API keys' }).first().click();
      await told.getByRole('link', { name: 'Checkout' }).click();
      const method = (name: string) => page.getByRole('row').filter({ hasText: name });
      await method('eth_call').waitFor();
      for (const [range, points] of [
        ['1 h', 1],
        ['24 h', 24],
        ['7 d', 168],
        ['30 d', 30],
        ['90 d', 90],
      ] as const) {
        await page.getByLabel(range, { exact: true }).check();
        const step = points === 30 || points === 90 ? 'day' : 'hour';
        await page.getByRole('img', { name: `Calls each ${step}` }).waitFor();
        await until(async () => (await page.locator('details tbody tr').count()) === points);
        expect(await method('eth_getLogs').count()).toBe(step === 'day' ? 1 : 0);
        // Wherever the viewer is, bars and rows say when it was by UTC.
        const utc = /\d{4}-\d\d-\d\dT\d\d:00:00Z/;
        expect(await page.locator('svg g title').first().textContent()).toMatch(utc);
        expect(await page.locator('details tbody th').first().getAttribute('title')).toMatch(utc);
      }
    },
  );

  inBrowser('entries of each list are added and removed', async () => {
    const app = await startApp([{ name: 'Checkout' }]);
    const { page } = await openPage(app, 'Checkout');
    const url = await rpcUrl(app, page);
    await page.getByRole('tab', { name: 'Allowlists' }).click();

    await add(page, 'Origins', 'Origin', 'https://*.example.com', 'requests without an Origin header are refused');
    await expectVerdict(url, 'ORIGIN_NOT_ALLOWED');
    const headers: Record<string, string> = { Origin: 'https://app.example.com', 'User-Agent': 'Android 15' };
    expect(await verdict(url, headers)).toBe(200);

    await add(page, 'User agents', 'Part of the User-Agent header', 'Android', 'without a User-Agent header');
    await expectVerdict(url, 'USER_AGENT_NOT_ALLOWED', { ...headers, 'User-Agent': 'curl/8' });
    expect(await verdict(url, headers)).toBe(200);

    await add(page, 'Contract addresses', 'Address', LISTED, 'queries another address');
    const balance = (of: string) => call('eth_getBalance', [of, 'latest']);
    await expectVerdict(url, 'CONTRACT_ADDRESS_NOT_ALLOWED', headers, balance(UNLISTED));
    expect(await verdict(url, headers, balance(LISTED))).toBe(200);

    await add(page, 'API request methods', 'Method or prefix', 'eth_get*', 'every other method is refused');
    await expectVerdict(url, 'METHOD_NOT_ALLOWED', headers);
    expect(await verdict(url, headers, balance(LISTED))).toBe(200);

    await page.getByRole('button', { name: 'Remove eth_get* from API request methods' }).click();
    await page.getByText('everything passes it').waitFor();
    await page.getByRole('alertdialog').getByRole('button', { name: 'Remove' }).click();
    await page.getByText('eth_get* removed').waitFor();
    await expectVerdict(url, 200, headers);
  });

  inBrowser(
    'a tested request gets the verdict of the guard, step by step, and is sent only when asked to',
    async () => {
      const app = await startApp([{ name: 'Checkout', allowlists: { methods: ['eth_get*'] } }]);
      const { page } = await openPage(app, 'Checkout');
      const url = await rpcUrl(app, page);
      await page.getByRole('tab', { name: 'Test a request' }).click();

      await page.getByRole('button', { name: 'Test', exact: true }).click();
      await page.locator('.verdict', { hasText: 'Refused' }).getByText('METHOD_NOT_ALLOWED').waitFor();
      expect(await verdict(url)).toBe('METHOD_NOT_ALLOWED');

      await page.getByLabel('Method').fill('eth_getBalance');
      await page.getByLabel('Params').fill('[nothing');
      await page.getByRole('button', { name: 'Test', exact: true }).click();
      await page.getByText('Not JSON').waitFor();
      await page.getByLabel('Params').fill(JSON.stringify([LISTED, 'latest']));
      await page.getByRole('button', { name: 'Test', exact: true }).click();
      await page.locator('.verdict', { hasText: 'Allowed' }).waitFor();
      expect(await page.locator('.steps li', { hasText: 'API request methods' }).textContent()).toContain('eth_get*');
      expect(app.upstream.seen).toEqual([]);

      await page.getByLabel('Raw body').check();
      await page
        .getByLabel('Body', { exact: true })
        .fill(JSON.stringify([call('eth_getBalance', [LISTED]), call('eth_call', [], 'two')]));
      await page.getByRole('button', { name: 'Send it to the upstream' }).click();
      await page.locator('.verdict', { hasText: 'Allowed in part' }).getByText('1 of 2 calls').waitFor();
      await page.locator('pre', { hasText: '"result": "eth_getBalance"' }).waitFor();
      expect(app.upstream.seen.map(({ body }) => body)).toEqual([expect.not.stringContaining('eth_call')]);
    },
  );
});

describe('A key is found', () => {
  inBrowser('by its name, the beginning of the key and its state, and page by page', async () => {
    const many = Array.from({ length: 60 }, (_, n) => ({ name: `Customer ${n}`, apiKey: `customer-${n}-key` }));
    const app = await startApp([...many, { name: 'Partner', apiKey: 'partners-key', enabled: false }]);
    const { page } = await openPage(app);
    const rows = page.getByRole('rowheader');

    await page.getByText('50 keys shown, there are more').waitFor();
    await page.getByRole('button', { name: 'Load more' }).click();
    await page.getByText('61 keys shown').waitFor();
    await until(async () => (await page.evaluate<number>('[...document.links].indexOf(document.activeElement)')) > 50);
    await page.getByRole('searchbox').fill('partners-');
    await page.getByText('1 key shown').waitFor();
    expect(await rows.allTextContents()).toEqual(['Partner']);
    await page.getByLabel('Enabled').check();
    await page.getByRole('heading', { name: 'No key matches' }).waitFor();
    await page.getByRole('searchbox').fill('customer 7');
    await page.getByText('1 key shown').waitFor();
    await page.getByRole('link', { name: 'Customer 7' }).click();
    await page.getByRole('link', { name: 'API keys' }).click();
    await page.getByText('1 key shown').waitFor();
    expect(await page.getByRole('searchbox').inputValue()).toBe('customer 7');
  });

  inBrowser('by name when the page opens, or in the order that a column is clicked to', async () => {
    const app = await startApp(['beta', 'Alpha', 'gamma'].map((name, n) => ({ name, apiKey: `key-number-${n}` })));
    const { page } = await openPage(app);
    await app.manager.disable('key-number-1');
    const namesAre = (names: readonly string[]) =>
      until(async () => (await page.getByRole('rowheader').allTextContents()).join() === names.join());
    await namesAre(['Alpha', 'beta', 'gamma']);
    await page.getByRole('button', { name: 'Name' }).click();
    await namesAre(['gamma', 'beta', 'Alpha']);
    await page.getByRole('button', { name: 'Created' }).click();
    await namesAre(['gamma', 'Alpha', 'beta']);
    const header = page.getByRole('columnheader', { name: 'Created' });
    expect(await header.getAttribute('aria-sort')).toBe('descending');
    await page.getByRole('button', { name: 'Created' }).click();
    await namesAre(['beta', 'Alpha', 'gamma']);
    await page.getByRole('button', { name: 'Updated' }).click();
    await namesAre(['Alpha', 'gamma', 'beta']);
    await page.getByRole('searchbox').fill('a');
    await page.getByRole('searchbox').fill('');
    await namesAre(['Alpha', 'gamma', 'beta']);
  });

  inBrowser('again at its place on the way back, with what has changed', async () => {
    const many = Array.from({ length: 120 }, (_, n) => ({ name: `Customer ${String(n).padStart(3, '0')}` }));
    const app = await startApp(many);
    const { page } = await openPage(app);
    await page.getByRole('button', { name: 'Load more' }).click();
    await page.getByText('100 keys shown').waitFor();
    await page.getByRole('link', { name: 'Customer 080' }).click();
    await page.getByRole('heading', { name: 'General' }).waitFor();
    await until(async () => (await page.evaluate<number>('scrollY')) === 0);
    await page.getByLabel('Name', { exact: true }).fill('Customer 080 b');
    await save(page);
    await page.goBack();
    await page.getByText('100 keys shown').waitFor();
    const link = page.getByRole('link', { name: 'Customer 080 b' });
    await until(async () => (await page.evaluate('document.activeElement.textContent')) === 'Customer 080 b');
    const { y } = (await link.boundingBox())!;
    expect([y > 0, y < 720]).toEqual([true, true]);
  });

  inBrowser('before the page says that no key matches', async () => {
    const app = await startApp([{ name: 'Checkout' }]);
    const { page } = await openPage(app);
    const nothing = page.getByRole('heading', { name: 'No key matches' });
    await page.getByRole('searchbox').fill('nobody');
    await nothing.waitFor();
    const held: Route[] = [];
    await page.route('**/api/keys?*', (route) => void held.push(route));
    await page.getByRole('searchbox').fill('check');
    await page.getByText('Loading the keys').waitFor();
    expect(await nothing.count()).toBe(0);
    await until(() => held.length > 0);
    await held[0]!.continue();
    await page.getByRole('link', { name: 'Checkout' }).waitFor();
  });

  inBrowser('unless it does not parse: then the reason is shown', async () => {
    const app = await startApp([{ name: 'Checkout' }]);
    Object.assign(app.store, { problems: () => [{ keyHint: 'test…', reason: 'apiKey: is too short' }] });
    const { page } = await openPage(app);
    await page.getByText('A key does not parse').waitFor();
    await page.getByText('test… apiKey: is too short').waitFor();
    await expectSound(page);
  });
});

describe('An entry is checked while it is typed', () => {
  inBrowser('the page says what is wrong with it, and which entry a sample matches', async () => {
    const app = await startApp([{ name: 'Checkout', allowlists: { origins: ['https://shop.example.com'] } }]);
    const { page } = await openPage(app, 'Checkout');
    await page.getByRole('tab', { name: 'Allowlists' }).click();
    await page.getByRole('button', { name: 'Add to Origins' }).click();
    const field = page.getByLabel('Origin', { exact: true });

    await field.fill('https://a.example.com/path');
    await page.getByText('has a path').waitFor();
    await page.keyboard.press('Enter');
    await until(async () => (await field.getAttribute('aria-invalid')) === 'true');
    await page.getByLabel('to try').fill('https://b.example.com');
    await page.getByText('No entry matches: refused').waitFor();
    await field.fill('https://*.example.com');
    await page.getByText('the entry you are typing').waitFor();
    await page.getByLabel('to try').fill('https://shop.example.com');
    await page.getByText('Passes by https://shop.example.com.').waitFor();
  });

  inBrowser('a mistyped method gets the nearest one proposed, and can be added all the same', async () => {
    const app = await startApp([{ name: 'Checkout' }]);
    const { page } = await openPage(app, 'Checkout');
    await page.getByRole('tab', { name: 'Allowlists' }).click();
    await page.getByRole('button', { name: 'Add to API request methods' }).click();
    const field = page.getByLabel('Method or prefix');
    await field.fill('eth_blokNumber');
    await page.locator('.doubt', { hasText: 'did you mean "eth_blockNumber"?' }).waitFor();
    expect(await field.getAttribute('aria-invalid')).toBeNull();
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.locator('.notice.warn', { hasText: 'did you mean "eth_blockNumber"?' }).waitFor();
    await field.fill('eth_chainId');
    await page.locator('.doubt:empty').waitFor({ state: 'attached' });
  });

  inBrowser('of many that are pasted the good ones are added, and the bad ones stay to be corrected', async () => {
    const app = await startApp([{ name: 'Checkout' }]);
    const { page } = await openPage(app, 'Checkout');
    await page.getByRole('tab', { name: 'Allowlists' }).click();
    await page.getByRole('button', { name: 'Add to Contract addresses' }).click();
    await page.getByRole('button', { name: 'Paste many' }).click();
    const field = page.getByLabel('One entry per line');

    await field.fill(`${LISTED}\n0x12\n\n ${UNLISTED}\nvitalik.eth`);
    await page.getByText('Line 5: vitalik.eth is not').waitFor();
    await page.getByRole('button', { name: 'Add 2 entries' }).click();
    await page.getByText('2 of 30').waitFor();
    expect(await field.inputValue()).toBe('0x12\nvitalik.eth');
  });
});

describe('A long list', () => {
  const origins = Array.from({ length: 29 }, (_, n) => `https://app-${n}.a-customer-with-a-long-name.example.com`);

  inBrowser('scrolls by itself, is filtered, is copied as a whole, and its entries are edited in place', async () => {
    const app = await startApp([{ name: 'Checkout', allowlists: { origins, methods: ['eth_blockNumber'] } }]);
    const { page } = await openPage(app, 'Checkout');
    await page.getByRole('tab', { name: 'Allowlists' }).click();
    const top = async (name: string) => (await page.getByRole('heading', { name }).boundingBox())!.y;
    expect((await top('API request methods')) - (await top('Origins'))).toBeLessThan(600);

    await page.getByRole('button', { name: 'Copy all entries of Origins' }).click();
    await page.getByText('Copied').first().waitFor();
    expect(await page.evaluate<string>('navigator.clipboard.readText()')).toBe(origins.join('\n'));

    await page.getByRole('searchbox', { name: 'Filter Origins' }).fill('APP-7.');
    await page.getByRole('button', { name: 'Edit https://app-7.' }).click();
    const field = page.getByRole('textbox', { name: 'https://app-7.' });
    await field.fill('https://shop.example.com/path');
    await field.press('Enter');
    await page.getByText('has a path').waitFor();
    await field.fill('https://shop.example.com');
    await field.press('Enter');
    await page.getByText('https://shop.example.com saved').waitFor();
    const { allowlists } = (await app.manager.get(await keyOn(page)))!;
    expect(allowlists).toMatchObject({
      origins: origins.with(7, 'https://shop.example.com'),
      methods: ['eth_blockNumber'],
    });
    const url = await rpcUrl(app, page);
    await expectVerdict(url, 'ORIGIN_NOT_ALLOWED', { Origin: origins[7] });
    expect(await verdict(url, { Origin: 'https://shop.example.com' })).toBe(200);
  });

  inBrowser('an entry that somebody else has changed is not written over', async () => {
    const app = await startApp([{ name: 'Checkout', allowlists: { origins: ['https://a.example'] } }]);
    const { page } = await openPage(app, 'Checkout');
    await page.getByRole('tab', { name: 'Allowlists' }).click();
    await page.getByRole('button', { name: 'Edit https://a.example' }).click();
    const apiKey = await keyOn(page);
    await app.manager.update(apiKey, { allowlists: { origins: ['https://a.example', 'https://b.example'] } });
    await page.getByRole('textbox', { name: 'https://a.example' }).fill('https://c.example');
    await page.keyboard.press('Enter');
    await page.getByText('Somebody else changed this key').waitFor();
    expect((await app.manager.get(apiKey))!.allowlists.origins).toEqual(['https://a.example', 'https://b.example']);
    await page.getByText('https://b.example').waitFor();
    await page.getByRole('button', { name: 'Save the entry' }).click();
    await page.getByText('https://c.example saved').waitFor();
    expect((await app.manager.get(apiKey))!.allowlists.origins).toEqual(['https://c.example', 'https://b.example']);
  });
});

describe('Lists are suggested from traffic', () => {
  const APP = 'https://app.example.com';
  const TRAFFIC = [
    { kind: 'method', name: 'eth_call', calls: 990 },
    { kind: 'method', name: 'eth_blockNumber', calls: 10, hoursAgo: 1 },
    { kind: 'method', name: 'eth_sign', calls: 70, outcome: 'METHOD_NOT_ALLOWED' },
    { kind: 'origin', name: APP, calls: 700 },
    ...['a', 'b', 'c'].map((host) => ({ kind: 'origin', name: `https://${host}.example.org`, calls: 90 }) as const),
    { kind: 'origin', name: '(none)', calls: 30 },
    { kind: 'userAgent', name: 'Mozilla', calls: 900 },
  ] as const;

  async function openDialog(allowlists: NewKey['allowlists'] = {}) {
    const app = await startApp([{ name: 'Checkout', apiKey: 'checkouts-key', allowlists }]);
    await putTraffic(app.store, 'checkouts-key', TRAFFIC);
    const { page } = await openPage(app, 'Checkout');
    await page.getByRole('tab', { name: 'Allowlists' }).click();
    await page.getByRole('button', { name: 'Suggest from traffic' }).focus();
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog', { name: 'Suggest from traffic' });
    await dialog.getByText('1,000 allowed calls').waitFor();
    const list = (name: string) => dialog.getByRole('group', { name });
    return { app, page, dialog, list, stored: async () => (await app.manager.get('checkouts-key'))! };
  }

  inBrowser('with what they would refuse, and what is ticked is added in one write that only reports', async () => {
    const { app, page, dialog, list, stored } = await openDialog();
    await dialog.getByText('Most user agents are browsers').waitFor();
    await list('API request methods').getByText('would have refused 1 % (10 of 1,000)').waitFor();
    await list('API request methods').getByText('Refused meanwhile, and not proposed: 1').waitFor();
    await list('Origins').getByText('would have refused 3 % (30 of 1,000)').waitFor();
    await list('Origins').getByText('calls that say none').waitFor();
    await dialog.getByRole('status').getByText('at most 4 % of the calls').waitFor();

    await list('API request methods').getByLabel('eth_blockNumber').focus();
    await page.keyboard.press('Space');
    await list('API request methods').getByText('it would have refused nothing').waitFor();
    await list('Origins').getByLabel('https://*.example.org').check();
    expect(await list('Origins').getByLabel('https://b.example.org').isDisabled()).toBe(true);
    await list('Origins').getByLabel(APP, { exact: true }).uncheck();
    await list('Origins').getByText('would have refused 73 % (730 of 1,000)').waitFor();
    await list('Origins').getByLabel(APP, { exact: true }).check();

    await dialog.getByRole('button', { name: 'Add 4 entries' }).press('Enter');
    await page.getByText('4 entries added').waitFor();
    expect(await stored()).toMatchObject({
      version: 2,
      reportOnly: ['origins', 'methods'],
      allowlists: { origins: [APP, 'https://*.example.org'], methods: ['eth_call', 'eth_blockNumber'] },
    });
    const url = await rpcUrl(app, page);
    expect(await verdict(url, {}, call('eth_gasPrice'))).toBe(200);
    expect((await app.manager.audit()).map(({ action }) => action)).toEqual(['allowlist.propose', 'key.create']);
  });

  inBrowser(
    'a list that is there is joined, and enforcing refuses at once; where nothing is ticked it is said',
    async () => {
      const { app, page, dialog, list, stored } = await openDialog({ methods: ['eth_gasPrice'] });
      await list('API request methods')
        .getByText('Refuses already, and goes on to. What you add joins its 1 method.')
        .waitFor();
      await list('API request methods').getByLabel('eth_call').uncheck();
      const ticked = list('Origins').getByRole('checkbox', { checked: true });
      while ((await ticked.count()) > 0) await ticked.first().uncheck();
      await dialog.getByText('Nothing is ticked: nothing would be added').waitFor();
      expect(await dialog.getByRole('button', { name: 'Add', exact: true }).isDisabled()).toBe(true);

      await list('API request methods').getByLabel('eth_call').check();
      await list('Origins').getByLabel(APP, { exact: true }).check();
      await dialog.getByLabel('Enforce').check();
      await app.manager.update('checkouts-key', { name: 'Changed' });
      await dialog.getByRole('button', { name: 'Add 2 entries' }).click();
      await dialog.getByText('Somebody else changed this key').waitFor();
      expect((await stored()).allowlists.origins).toEqual([]);
      await dialog.getByRole('button', { name: 'Add 2 entries' }).click();
      await page.getByText('2 entries added').waitFor();
      expect(await stored()).toMatchObject({
        reportOnly: [],
        allowlists: { origins: [APP], methods: ['eth_gasPrice', 'eth_call'] },
      });
      await expectVerdict(await rpcUrl(app, page), 'ORIGIN_NOT_ALLOWED');
    },
  );

  inBrowser(
    'and while they only report, banner and cards say what they would have refused in the last day',
    async () => {
      const lists = { origins: [APP], methods: ['eth_call'] };
      const app = await startApp([
        { name: 'Checkout', apiKey: 'checkouts-key', allowlists: lists, reportOnly: ['origins'] },
      ]);
      const { version, ...settings } = (await app.store.get('checkouts-key'))!;
      await app.store.set({ ...settings, reportOnlySince: { origins: '2026-01-01T00:00:00Z' } }, version);
      const reported = { kind: 'total', name: '', hoursAgo: 1 } as const;
      await putTraffic(app.store, 'checkouts-key', [
        { ...reported, calls: 12, outcome: 'wouldRefuse:ORIGIN_NOT_ALLOWED' },
        { ...reported, calls: 5, outcome: 'METHOD_NOT_ALLOWED' },
      ]);
      const { page } = await openPage(app, 'Checkout');
      await page.getByText('would refuse passes: 2.35 % of the calls (12 of 512) in the last 24 h.').waitFor();
      await page.getByRole('tab', { name: 'Allowlists' }).click();
      const card = page.getByRole('region', { name: 'Origins' });
      await card.getByText('it would have refused 2.35 % of the calls (12 of 512)').waitFor();
      await page.getByRole('region', { name: 'API request methods' }).getByRole('switch').click();
      // Of the time when only one of them reported nothing can be said of both.
      await card.getByText('been the first to refuse 0 % of the calls (0 of 500) from the hour of').waitFor();
      await page.getByRole('link', { name: 'API keys' }).click();
      await page.getByRole('cell', { name: 'open to all report only for 30 days' }).waitFor();
    },
  );
});

inBrowser('a list type that the page does not know is drawn from what the server says of it', async () => {
  const app = await startApp([{ name: 'Checkout' }]);
  const { page } = await openPage(app);
  const languages = {
    type: 'languages',
    phase: 'request',
    header: 'Accept-Language',
    title: 'Languages',
    one: 'language',
    many: 'languages',
    field: 'Language',
    help: 'The Accept-Language header has to begin with one of these.',
    first: 'From then on requests without the header are refused.',
    examples: ['de', 'en-GB'],
    sample: { label: 'An Accept-Language header', example: 'de-AT' },
  };
  const entries = ['de'];
  const withLanguages = (key: KeyView) => ({
    ...key,
    warnings: [],
    allowlists: { ...key.allowlists, languages: entries },
  });
  interface Answer {
    readonly allowlists: readonly object[];
    readonly keys: readonly KeyView[];
    readonly key: KeyView;
  }
  const answered = async (route: Route) => (await (await route.fetch()).json()) as Answer;
  await page.route('**/api/meta', async (route) => {
    const meta = await answered(route);
    await route.fulfill({ json: { ...meta, allowlists: [languages, ...meta.allowlists] } });
  });
  await page.route('**/api/keys?*', async (route) => {
    const { keys } = await answered(route);
    await route.fulfill({ json: { keys: keys.map(withLanguages), next: null } });
  });
  await page.route(/\/api\/keys\/\w+$/, async (route) => {
    const { key } = await answered(route);
    await route.fulfill({ json: { key: withLanguages(key) } });
  });
  await page.route('**/allowlists/languages', async (route) => {
    entries.push(...(route.request().postDataJSON() as { entries: string[] }).entries);
    const [key] = (await app.manager.list()).keys;
    await route.fulfill({ json: { key: withLanguages(key!) } });
  });
  await page.route('**/allowlists/languages/check', (route) =>
    route.fulfill({ json: { entries: [], samples: [{ sample: 'fr', matchedBy: null }] } }),
  );
  await page.reload();

  await page.getByText('1 language', { exact: true }).waitFor();
  await page.getByRole('link', { name: 'Checkout' }).click();
  await page.getByRole('tab', { name: 'Allowlists' }).click();
  await page.getByText(languages.help).waitFor();
  await page.getByRole('button', { name: 'Add to Languages' }).click();
  expect(await page.getByLabel('Language', { exact: true }).getAttribute('placeholder')).toBe('de or en-GB');
  await page.getByLabel('An Accept-Language header, to try').fill('fr');
  await page.getByText('No entry matches: refused').waitFor();
  await page.getByLabel('Language', { exact: true }).fill('en-GB');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Remove en-GB from Languages' }).waitFor();
  expect((await page.getByRole('heading', { level: 2 }).allTextContents())[0]).toBe('Languages');

  await page.getByRole('tab', { name: 'Test a request' }).click();
  await page.getByLabel('Origin', { exact: true }).waitFor();
  await page.getByLabel('Accept-Language', { exact: true }).fill('de-AT');
  const asked = page.waitForRequest('**/test');
  await page.getByRole('button', { name: 'Test', exact: true }).click();
  expect((await asked).postDataJSON()).toMatchObject({ headers: { 'Accept-Language': 'de-AT' } });
});

describe('Settings as JSON', () => {
  inBrowser('are downloaded from one key and imported into another, after a look at what changes', async () => {
    const allowlists = { origins: ['https://a.example'], methods: ['eth_*'] };
    const app = await startApp([{ name: 'Checkout', allowlists }, { name: 'Staging' }]);
    const { page } = await openPage(app, 'Checkout');
    const from = await keyOn(page);
    const downloading = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download' }).click();
    const download = await downloading;
    expect(download.suggestedFilename()).toBe('Checkout.json');
    const file = await download.path();
    const text = readFileSync(file, 'utf8');
    expect(JSON.parse(text)).toMatchObject({ apiKey: from, name: 'Checkout', allowlists });
    await page.getByRole('button', { name: 'Copy JSON' }).click();
    await page.getByText('Copied').first().waitFor();
    expect(await page.evaluate<string>('navigator.clipboard.readText()')).toBe(text);

    await page.getByRole('link', { name: 'API keys' }).click();
    await page.getByRole('link', { name: 'Staging' }).click();
    await page.getByRole('button', { name: 'Import' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('JSON to import').fill('{"requireSecrets":true}');
    await dialog.getByText('did you mean requireSecret?').waitFor();
    expect(await dialog.getByRole('button', { name: 'Import' }).isDisabled()).toBe(true);
    await dialog.getByLabel('Or a file').setInputFiles(file);
    const row = dialog.getByRole('row', { name: 'Origins' });
    await row.waitFor();
    expect(await row.getByRole('cell').allTextContents()).toEqual(['adds https://a.example']);
    await dialog.getByText(`settings of another key, ${from}`).waitFor();

    const before = await app.manager.get(await keyOn(page));
    expect(before).toMatchObject({ name: 'Staging', version: 1 });
    await app.manager.update(before!.apiKey, { allowlists: { userAgents: ['curl/'] } });
    await dialog.getByRole('button', { name: 'Import' }).click();
    await dialog.getByText('Somebody else changed this key').waitFor();
    await dialog.getByRole('row', { name: 'User agents' }).getByText('removes curl/').waitFor();
    await dialog.getByRole('button', { name: 'Import' }).click();
    await page.getByText('Settings imported').waitFor();
    expect(await app.manager.get(await keyOn(page))).toMatchObject({ name: 'Checkout', allowlists });
    await expectVerdict(await rpcUrl(app, page), 'ORIGIN_NOT_ALLOWED');
  });
});

describe('Use this key', () => {
  const inShell = hasCurl && inBrowser === test ? test : test.skip;

  inShell('shows a curl line that passes the lists of the key', async () => {
    const allowlists = { origins: ['https://*.example.com'], userAgents: ["O'Brien"], methods: ['eth_chainId'] };
    const app = await startApp([{ name: 'Checkout', allowlists }]);
    const { page } = await openPage(app, 'Checkout');
    await page.getByRole('button', { name: 'Use this key' }).click();
    const line = (await page.locator('.snippet code').textContent())!;
    const { stdout } = await promisify(execFile)('sh', ['-c', line.replace('curl', 'curl -sS --max-time 20')]);
    expect(JSON.parse(stdout)).toMatchObject({ result: 'eth_chainId' });
    await page.getByText('a browser sends its own').waitFor();
    await page.getByText('publicUrl').waitFor();
  });
});

describe('A secret', () => {
  inBrowser('gets another label, and its expiry is taken away', async () => {
    const expiresAt = new Date(Date.now() + 86_400_000).toISOString();
    const app = await startApp([{ name: 'Checkout', secret: { label: 'biling', expiresAt } }]);
    const { page } = await openPage(app, 'Checkout');
    await page.getByRole('button', { name: 'Edit the secret biling' }).click();
    await page.getByLabel('Label').fill('billing');
    await page.getByRole('button', { name: 'Save' }).last().click();
    await page.getByRole('rowheader', { name: 'billing' }).waitFor();
    const secrets = async () => (await app.manager.get(await keyOn(page)))!.secrets;
    expect(await secrets()).toMatchObject([{ label: 'billing', expiresAt }]);

    await page.getByRole('button', { name: 'Edit the secret billing' }).click();
    await page.getByLabel('Expires').selectOption('Never');
    await page.getByRole('button', { name: 'Save' }).last().click();
    await page.getByRole('cell', { name: 'never' }).waitFor();
    expect((await secrets())[0]).not.toHaveProperty('expiresAt');
  });
});

describe('Limits', () => {
  inBrowser('are set and taken away, and the bars follow what the guard has charged', async () => {
    const app = await startApp([{ name: 'Checkout' }]);
    const { page } = await openPage(app);
    await page.clock.install();
    await page.getByRole('link', { name: 'Checkout' }).click();
    const saved = async () => {
      await page.getByRole('button', { name: 'Save limits' }).click();
      await page.getByText('Settings saved').first().waitFor();
      return (await app.manager.get(await keyOn(page)))!.limits;
    };
    const perSecond = page.getByLabel('Per second', { exact: true });
    await perSecond.fill('0');
    await page.getByRole('button', { name: 'Save limits' }).click();
    expect(await page.evaluate('document.activeElement.validity.rangeUnderflow')).toBe(true);
    await perSecond.fill('5');
    expect(await page.getByLabel('Burst').getAttribute('placeholder')).toBe('10');
    await page.getByLabel('Per day').fill('1000');
    await page.getByLabel('Per second and address').fill('7');
    expect(await saved()).toEqual({ perSecond: 5, perDay: 1000, perAddress: { perSecond: 7 } });
    await page.locator('.notice', { hasText: 'The burst of 10 is small' }).waitFor();

    await page.getByText('1,000 of 1,000 left today').waitFor();
    await expectVerdict(
      await rpcUrl(app, page),
      200,
      {},
      [1, 2, 3].map((id) => call('eth_chainId', [], id)),
    );
    await until(async () => ((await app.manager.limits(await keyOn(page))).day?.used ?? 0) >= 3);
    await page.clock.runFor(5000);
    await page.getByText('997 of 1,000 left today').waitFor();
    expect(await page.getByRole('meter', { name: 'left today' }).getAttribute('value')).toBe('997');

    await perSecond.fill('');
    expect(await page.getByLabel('Burst').isDisabled()).toBe(true);
    for (const label of ['Per day', 'Per second and address']) await page.getByLabel(label).fill('');
    expect(await saved()).toBeUndefined();
    await page.getByRole('meter').first().waitFor({ state: 'detached' });
  });

  inBrowser('are proposed by what the key needed at most', async () => {
    const app = await startApp([{ name: 'Checkout', apiKey: 'checkouts-key', limits: { perSecond: 1, burst: 500 } }]);
    const counted = { calls: 9, bytesIn: 0, bytesOut: 0, upstreamErrors: 0, lastAt: Date.now(), requests: 9 };
    const total = { apiKey: 'checkouts-key', instance: 'a1', kind: 'total', name: '', outcome: 'allowed' } as const;
    await app.store.usage!.write([{ ...total, ...counted, hour: hourOf(Date.now()), credits: 118_000, peak: 43 }]);
    const { page } = await openPage(app, 'Checkout');
    await page.getByText('Busiest second in 7 days: 43 credits; busiest day: 118,000.').waitFor();
    await page.getByRole('button', { name: 'Use 86 and 240,000' }).click();
    await page.getByRole('button', { name: 'Save limits' }).click();
    await page.getByText('Settings saved').waitFor();
    const { limits } = (await app.manager.get('checkouts-key'))!;
    expect(limits).toEqual({ perSecond: 86, burst: 500, perDay: 240_000 });
    await page.getByText(/, last used/).waitFor();
    await expectSound(page);
  });

  inBrowser('of a secret are changed with it, and shown beside it', async () => {
    const app = await startApp([{ name: 'Checkout', secret: { label: 'billing' } }]);
    const { page } = await openPage(app, 'Checkout');
    await page.getByRole('button', { name: 'Edit the secret billing' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Per second').fill('20');
    await dialog.getByLabel('Per day').fill('100000');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByText('20 a second, burst 40; 100,000 a day').waitFor();
    const [secret] = (await app.manager.get(await keyOn(page)))!.secrets;
    expect(secret).toMatchObject({ label: 'billing', limits: { perSecond: 20, perDay: 100_000 } });
  });

  inBrowser('that somebody else has changed are shown beside mine', async () => {
    const app = await startApp([{ name: 'Checkout', limits: { perDay: 5 } }]);
    const { page } = await openPage(app, 'Checkout');
    await page.getByLabel('Per day').fill('50');
    await app.manager.update(await keyOn(page), { limits: { perDay: 7 } });
    await page.getByRole('button', { name: 'Save limits' }).click();
    const row = page.getByRole('alertdialog').getByRole('row', { name: 'Limits' });
    await row.waitFor();
    expect(await row.getByRole('cell').allTextContents()).toEqual(['5 a day', '7 a day', '50 a day']);
  });
});

describe('What is shown is what is true', () => {
  inBrowser('the list is shown before the second answer, and no old rows under an error', async () => {
    const app = await startApp([{ name: 'Checkout' }]);
    const { page } = await openPage(app);
    const held: (() => void)[] = [];
    await page.route('**/api/meta', (route) => void held.push(() => void route.continue()));
    await page.reload();
    await page.getByRole('heading', { name: 'API keys' }).waitFor();
    await until(() => held.length > 0);
    expect(held).toHaveLength(1);
    held[0]!();
    await page.getByRole('link', { name: 'Checkout' }).waitFor();

    await page.route('**/api/keys?*', (route) => route.abort());
    await page.getByLabel('Disabled').check();
    await page.getByRole('alert').getByText('The server cannot be reached').waitFor();
    expect(await page.getByRole('link', { name: 'Checkout' }).count()).toBe(0);
  });

  inBrowser('a verdict goes as soon as the request is edited, and one that comes too late is not shown', async () => {
    const app = await startApp([{ name: 'Checkout' }]);
    const { page } = await openPage(app, 'Checkout');
    await page.getByRole('tab', { name: 'Test a request' }).click();
    await page.getByRole('button', { name: 'Test', exact: true }).click();
    await page.locator('.verdict', { hasText: 'Allowed' }).waitFor();
    await page.getByLabel('Method').fill('admin_peers');
    await page.locator('.verdict').waitFor({ state: 'detached' });

    const late: Route[] = [];
    await page.route('**/test', (route) => void late.push(route));
    await page.getByRole('button', { name: 'Test', exact: true }).click();
    await until(() => Promise.resolve(late.length > 0));
    await page.getByLabel('Method').fill('eth_chainId');
    const answered = page.waitForResponse('**/test');
    await late[0]!.continue();
    await (await answered).finished();
    await page.getByText('It appears here').waitFor();
    expect(await page.locator('.verdict').count()).toBe(0);
  });

  inBrowser(
    'a wide-open key is marked in the list, and one that a list of origins keeps to browsers is not',
    async () => {
      const app = await startApp([
        { name: 'Open' },
        { name: 'Website', allowlists: { origins: ['https://shop.example.com'] } },
      ]);
      const { page } = await openPage(app);
      const row = (name: string) => page.getByRole('row', { name });
      await row('Website').waitFor();
      expect(await row('Open').getByText('open to all').count()).toBe(1);
      expect(await row('Website').getByText('open to all').count()).toBe(0);
      await page.getByRole('link', { name: 'Website' }).click();
      await page.getByRole('tab', { name: 'Allowlists', exact: true }).click();
      await page.locator('.notice', { hasText: 'without an Origin header' }).waitFor();
      expect(await page.locator('.notice.warn').count()).toBe(0);
    },
  );
});

describe('Nothing is lost without a question', () => {
  inBrowser('unsaved settings hold back the tab, the way back and the reload', async () => {
    const app = await startApp([{ name: 'Checkout' }]);
    const { page } = await openPage(app, 'Checkout');
    const name = page.getByLabel('Name', { exact: true });
    const keepEditing = page.getByRole('button', { name: 'Keep editing' });
    await name.fill('Shop');

    await page.getByRole('tab', { name: 'Allowlists' }).click();
    await keepEditing.click();
    await page.goBack();
    await keepEditing.click();
    const asked = page.waitForEvent('dialog');
    await page.evaluate('void setTimeout(() => location.reload())');
    const dialog = await asked;
    expect(dialog.type()).toBe('beforeunload');
    await dialog.dismiss();
    expect(await name.inputValue()).toBe('Shop');

    await page.getByRole('tab', { name: 'Allowlists' }).click();
    await page.getByRole('button', { name: 'Discard changes' }).click();
    await page.getByRole('heading', { name: 'Origins' }).waitFor();
    await page.getByRole('tab', { name: 'Settings' }).click();
    expect(await name.inputValue()).toBe('Checkout');
  });

  inBrowser('what somebody else changed is shown beside mine, and either can be kept', async () => {
    const app = await startApp([{ name: 'Checkout' }]);
    const { page } = await openPage(app, 'Checkout');
    const apiKey = await keyOn(page);
    const name = page.getByLabel('Name', { exact: true });

    await name.fill('Mine');
    await app.manager.update(apiKey, { name: 'Theirs', overrideAllowlists: true });
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    const row = page.getByRole('alertdialog').getByRole('row', { name: 'Name' });
    await row.waitFor();
    expect(await row.getByRole('cell').allTextContents()).toEqual(['Checkout', 'Theirs', 'Mine']);
    await page.getByRole('button', { name: 'Apply mine' }).click();
    await page.getByText('Settings saved').waitFor();
    expect(await app.manager.get(apiKey)).toMatchObject({ name: 'Mine', overrideAllowlists: true });

    await name.fill('Mine again');
    await app.manager.update(apiKey, { name: 'Theirs again' });
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('button', { name: 'Keep theirs' }).click();
    await page.getByRole('heading', { name: 'Theirs again' }).waitFor();
    expect(await name.inputValue()).toBe('Theirs again');

    await page.getByRole('button', { name: 'Delete key' }).click();
    await page.getByLabel('to confirm').fill('Theirs again');
    await app.manager.update(apiKey, { enabled: false });
    await page
      .getByRole('dialog')
      .or(page.getByRole('alertdialog'))
      .getByRole('button', { name: 'Delete key' })
      .click();
    await page.getByRole('button', { name: 'Delete it anyway' }).click();
    await page.getByRole('heading', { name: 'No keys yet' }).waitFor();
    expect(await app.manager.get(apiKey)).toBeUndefined();
  });

  inBrowser('a server that is away is reported in words, and tried again when asked', async () => {
    const app = await startApp([{ name: 'Checkout' }]);
    const { page } = await openPage(app);
    await page.route('**/api/keys/*', (route) => route.abort());
    await page.getByRole('link', { name: 'Checkout' }).click();
    await page.getByRole('alert').getByText('The server cannot be reached').waitFor();
    await page.unroute('**/api/keys/*');
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('heading', { name: 'General' }).waitFor();

    await page.route('**/api/keys/*', (route) => route.fulfill({ status: 401 }));
    await page.getByRole('switch', { name: 'Enabled' }).click();
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('button', { name: 'Log in again' }).waitFor();
  });
});

describe('The history', () => {
  inBrowser('says in words who changed what, is filtered, and shows a key as it was then', async () => {
    const app = await startApp([{ name: 'Checkout' }, { name: 'Billing' }]);
    const { apiKey } = (await app.manager.list()).keys.find(({ name }) => name === 'Checkout')!;
    await app.manager.addToAllowlist(apiKey, 'origins', 'https://app.example.com', { actor: 'ann' });
    await app.manager.update(apiKey, { name: 'Shop', allowlists: { origins: [] } }, { actor: 'bob', via: 'cli' });
    const { page } = await openPage(app, 'Shop');
    await page.getByRole('tab', { name: 'History' }).click();
    const rows = page.getByRole('table', { name: 'History' }).getByRole('row');
    await until(async () => (await rows.count()) === 4);
    await rows.nth(1).getByText('name: Checkout → Shop').waitFor();
    await rows.nth(1).getByText('bob').waitFor();
    await rows.nth(2).getByText('origins: added https://app.example.com').waitFor();

    await rows.nth(2).getByRole('button', { name: 'As it was then' }).click();
    const then = page.getByRole('dialog');
    await then.getByText('Version 2, after what ann did').waitFor();
    await then.getByText('https://app.example.com').waitFor();
    await then.getByRole('row', { name: 'Name Checkout' }).waitFor();
    expect(await then.getByRole('textbox').count()).toBe(0);
    await then.getByRole('button', { name: 'Close' }).click();

    await page.getByLabel('Who did it').fill('ann');
    await until(async () => (await rows.count()) === 2);
    await page.getByLabel('What was done').selectOption('key.delete');
    await page.getByRole('heading', { name: 'Nothing found' }).waitFor();

    await page.getByRole('link', { name: 'History', exact: true }).click();
    await page.getByRole('heading', { name: 'History', level: 1 }).waitFor();
    await until(async () => (await rows.count()) === 5);
    await page.getByLabel('What was done').selectOption('key.create');
    await until(async () => (await rows.count()) === 3);
    await rows.filter({ hasText: 'Billing' }).getByRole('link').click();
    await page.getByRole('heading', { name: 'Billing' }).waitFor();
    await until(async () => (await rows.count()) === 2);
  });

  inBrowser('a filter that is changed while a page is loading is asked for, and its answer shown', async () => {
    const app = await startApp([{ name: 'Checkout' }]);
    const { apiKey } = (await app.manager.list()).keys[0]!;
    await app.manager.disable(apiKey, { actor: 'ann' });
    const { page } = await openPage(app);
    let goOn = (): void => undefined;
    const held = new Promise<void>((resolve) => (goOn = resolve));
    let isFirst = true;
    await page.route('**/api/audit**', async (route) => {
      if (isFirst) {
        isFirst = false;
        await held;
      }
      await route.continue();
    });
    await page.getByRole('link', { name: 'History', exact: true }).click();
    await page.getByText('Loading the history').waitFor();
    await page.getByLabel('Who did it').fill('ann');
    await page.waitForTimeout(400); // behind the moment in which the filter is asked for
    goOn();
    const rows = page.getByRole('table', { name: 'History' }).getByRole('row');
    await rows.nth(1).getByText('key.disable').waitFor();
    expect(await rows.count()).toBe(2);
  });

  inBrowser('a history that is filtered shows that it is loading until the answer is there', async () => {
    const app = await startApp([{ name: 'Checkout' }]);
    const { apiKey } = (await app.manager.list()).keys[0]!;
    await app.manager.disable(apiKey, { actor: 'ann' });
    const { page } = await openPage(app);
    await page.getByRole('link', { name: 'History', exact: true }).click();
    const rows = page.getByRole('table', { name: 'History' }).getByRole('row');
    await rows.nth(2).waitFor();
    const busy = page.locator('section[aria-busy="true"]').filter({ has: rows });
    expect(await busy.count()).toBe(0);
    let held: Route[] = [];
    await page.route('**/api/audit**', (route) => void held.push(route));
    const answer = async () => {
      await until(() => held.length > 0);
      await held[0]!.continue();
      held = [];
    };
    await page.getByLabel('Who did it').fill('nobody');
    await busy.waitFor();
    await answer();
    const nothing = page.getByRole('heading', { name: 'Nothing found' });
    await nothing.waitFor();
    await page.getByLabel('Who did it').fill('ann');
    await page.getByText('Loading the history').waitFor();
    expect(await nothing.count()).toBe(0);
    await answer();
    await rows.nth(1).getByText('key.disable').waitFor();
    expect(await busy.count()).toBe(0);
  });

  inBrowser('a viewer reads all of it, finds no button that would be refused, and no key in full', async () => {
    const secret = { label: 'billing', expiresAt: new Date(Date.now() + 3_600_000).toISOString() };
    const app = await startApp([{ name: 'Checkout', requireSecret: true, secret }], { role: () => 'viewer' });
    const { apiKey } = (await app.manager.list()).keys[0]!;
    await app.manager.addToAllowlist(apiKey, 'methods', 'eth_call', { actor: 'ann' });
    const { page } = await openPage(app);
    const seen: string[] = [];
    const changing = page
      .getByRole('button', {
        name: /new|add|save|edit|rotate|revoke|delete|import|remove|copy|use|suggest|allow|send/i,
      })
      .or(page.getByRole('switch'));
    const look = async (): Promise<void> => {
      seen.push(await page.content(), page.url());
      expect(await changing.allTextContents()).toEqual([]);
    };
    await look();
    await page.getByRole('table', { name: 'API keys' }).getByRole('link', { name: 'Checkout' }).click();
    await page.getByRole('heading', { name: 'Checkout' }).waitFor();
    await page.getByText('eth_call').waitFor();
    await page.getByText('no secret is active').waitFor();
    await look();
    for (const tab of await page.getByRole('tab').all()) {
      await tab.click();
      await look();
    }
    await page.getByText('methods: added eth_call').waitFor();
    await look();
    await page.getByRole('button', { name: 'As it was then' }).first().click();
    await page.getByRole('dialog').getByText('eth_call').waitFor();
    await look();
    await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
    await page.reload();
    await page.getByText('methods: added eth_call').waitFor();
    await page.getByRole('link', { name: 'History', exact: true }).click();
    await page.getByRole('table', { name: 'History' }).getByRole('link', { name: 'Checkout' }).first().waitFor();
    await look();
    expect(seen.filter((text) => text.includes(apiKey))).toEqual([]);
  });
});

describe('Accessibility', () => {
  inBrowser('the keyboard alone reaches tabs, a list of suggestions and the way back to where it was', async () => {
    const app = await startApp([{ name: 'Checkout' }]);
    const { page } = await openPage(app, 'Checkout');
    const goTo = async (tabName: string, key: string) => {
      await page.keyboard.press(key);
      await page.locator('[role=tab][aria-selected=true]:focus', { hasText: tabName }).waitFor();
    };

    await page.getByRole('tab', { name: 'Settings' }).focus();
    await goTo('History', 'ArrowLeft');
    await goTo('Test a request', 'ArrowLeft');
    await page.getByRole('heading', { name: 'Verdict' }).waitFor();
    await goTo('Usage', 'ArrowLeft');
    await goTo('Allowlists', 'ArrowLeft');
    await page.getByRole('heading', { name: 'Origins' }).waitFor();
    expect(await page.title()).toBe('Allowlists · Checkout · rpc-guard');

    await page.getByRole('button', { name: 'Add to API request methods' }).focus();
    await page.keyboard.press('Enter');
    await page.locator('[role=combobox]:focus').waitFor();
    await page.keyboard.type('getbal');
    await page.locator('[role=combobox][aria-expanded=true]').waitFor();
    const chosen = page.locator('[role=option][aria-selected=true]');
    await page.keyboard.press('ArrowDown');
    await chosen.waitFor();
    await page.keyboard.press('ArrowDown');
    await chosen.filter({ hasText: 'eth_getBalance' }).waitFor();
    await page.keyboard.press('Enter');
    await until(async () => (await page.getByLabel('Method or prefix').inputValue()) === 'eth_getBalance');
    await page.keyboard.press('Enter');
    await page.getByText('eth_getBalance added').waitFor();

    await page.getByRole('tab', { name: 'Allowlists' }).focus();
    await goTo('Settings', 'Home');
    await page.getByRole('button', { name: 'Add secret' }).focus();
    await page.keyboard.press('Enter');
    await page.getByLabel('Label').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.locator('button:focus', { hasText: 'Add secret' }).waitFor();
  });

  inBrowser('no view has a serious fault or scrolls sideways, light or dark, 1200 or 360 px wide', async () => {
    const secret = { label: 'billing', expiresAt: new Date(Date.now() + 86_400_000).toISOString() };
    const allowlists = {
      origins: ['https://*.example.com', 'null'],
      contractAddresses: [LISTED],
      methods: ['eth_*'],
    };
    const limits = { perSecond: 5, perDay: 1000 };
    const app = await startApp([{ name: 'Checkout', overrideAllowlists: true, secret, allowlists, limits }]);
    await putTraffic(app.store, await putRefusal(app), [
      { kind: 'method', name: 'debug_traceBlockByHash', calls: 990 },
      { kind: 'userAgent', name: 'a-product-with-a-name-of-the-greatest-length-that-names-may-have', calls: 990 },
    ]);
    const { page } = await openPage(app, undefined, { width: 360 });
    const dialog = page.locator('dialog');
    const expectGood = () => expectSoundInEachLook(page);
    const closed = async () => {
      await page.keyboard.press('Escape');
      await dialog.waitFor({ state: 'detached' });
    };

    await expectGood();
    await page.getByRole('button', { name: 'New key' }).click();
    await expectGood();
    await closed();
    await page.getByRole('rowheader').getByRole('link', { name: 'Checkout' }).click();
    await page.getByRole('heading', { name: 'General' }).waitFor();
    await expectGood();
    const dialogs = ['Use this key', 'Add secret', 'Edit the secret', 'Rotate the secret', 'Revoke the secret'];
    for (const name of [...dialogs, 'Import', 'Delete key']) {
      await page.getByRole('button', { name }).click();
      await expectGood();
      await closed();
    }
    await page.getByRole('tab', { name: 'Allowlists' }).click();
    await page.getByRole('button', { name: 'Suggest from traffic' }).click();
    await page.getByText('allowed calls in').waitFor();
    await expectGood();
    await closed();
    await page.getByRole('button', { name: 'Add to User agents' }).click();
    await page.getByRole('button', { name: 'Add to API request methods' }).click();
    await page.getByLabel('Method or prefix').fill('get');
    await page.getByRole('option').first().waitFor();
    await expectGood();
    await page.getByRole('tab', { name: 'Usage' }).click();
    await page.getByText('As a table').click();
    await page.getByText('METHOD_NOT_ALLOWED').waitFor();
    await expectGood();
    await page.getByRole('tab', { name: 'Test a request' }).click();
    await page.getByRole('button', { name: 'Test', exact: true }).click();
    await page.getByText('ORIGIN_NOT_ALLOWED').waitFor();
    await expectGood();
  });
});

test('the licences of what is bundled are served beside it, and named in script and style sheet', async () => {
  const { adminUrl } = await adminApp();
  const text = async (file: string) => (await fetch(`${adminUrl}${file}`)).text();
  const notices = await text('NOTICES.txt');
  for (const licence of ['preact/LICENSE', '@picocss/pico/LICENSE.md']) {
    expect(notices).toContain(readFileSync(`node_modules/${licence}`, 'utf8').trim());
  }
  expect(await text('app.js')).toContain('NOTICES.txt');
  expect(await text('app.css')).toContain('NOTICES.txt');
});

interface App extends AdminApp {
  readonly manager: KeyManager;
}

/** A backend with the guard and the dashboard on one store, and the keys that are given. */
async function startApp(keys: readonly NewKey[] = [], options: Partial<RpcGuardAdminOptions> = {}): Promise<App> {
  const app = await adminApp({ sends: true, options });
  const manager = new KeyManager(app.store);
  for (const key of keys) await manager.create(key);
  return { ...app, manager };
}

/**
 * The dashboard, at the key of that name if one is given. After the test nothing may have been said on its console, a
 * violation of its policy least of all, and nothing asked of another server.
 */
async function openPage(
  app: App,
  name?: string,
  { width = 1280 }: { readonly width?: number } = {},
): Promise<{ page: Page; said: () => readonly string[] }> {
  const page = tab!;
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: null });
  await page.setViewportSize({ width, height: 720 });
  const said: string[] = [];
  page.on('pageerror', ({ message }) => said.push(message));
  page.on('console', (message) => said.push(message.text()));
  page.on('request', (request) => {
    if (!request.url().startsWith(`${app.url}/admin`) && !request.url().startsWith('data:')) said.push(request.url());
  });
  endAfterTest(async () => {
    await page.unrouteAll({ behavior: 'ignoreErrors' });
    await leave(page);
    // Chromium itself logs each answer with an error status, and each request that did not get through.
    expect(said.filter((text) => !text.startsWith('Failed to load resource'))).toEqual([]);
  });
  const response = await page.goto(`${app.url}/admin`);
  expect(response?.headers()['content-security-policy']).toContain("require-trusted-types-for 'script'");
  await page.getByRole('heading', { name: 'API keys' }).waitFor();
  const keys = page.getByRole('table', { name: 'API keys' });
  if (name !== undefined) await keys.getByRole('link', { name }).click();
  if (name !== undefined) await page.getByRole('heading', { name: 'General' }).waitFor();
  return { page, said: () => said };
}

/** Away from the dashboard, though it asks whether to leave what is not saved. */
async function leave(page: Page): Promise<void> {
  for (const event of ['pageerror', 'console', 'request'] as const) page.removeAllListeners(event);
  page.on('dialog', (dialog) => void dialog.accept());
  await page.goto('about:blank');
  page.removeAllListeners('dialog');
}

async function keyOn(page: Page): Promise<string> {
  return (await page.locator('.key-line code').textContent()) ?? '';
}

async function rpcUrl(app: App, page: Page): Promise<string> {
  return `${app.url}/v3/${await keyOn(page)}`;
}

/** What the guard makes of a request: 200, or the reason of its refusal. */
async function verdict(url: string, headers = {}, body: unknown = call('eth_blockNumber')): Promise<unknown> {
  const answer = await post(url, body, headers);
  return (answer.json as { error?: { data: { reason: string } } }).error?.data.reason ?? answer.status;
}

async function expectVerdict(url: string, expected: unknown, headers = {}, body?: unknown): Promise<void> {
  await until(async () => (await verdict(url, headers, body)) === expected);
}

async function save(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByText('Settings saved').waitFor();
}

/** Reads the new secret, finds it in the lines to paste, and closes its dialog for good. */
async function takeSecret(page: Page): Promise<string> {
  const secret = (await page.locator('.secret code').textContent()) ?? '';
  expect(secret).toMatch(/^rgs_[0-9A-Za-z]{40,}$/);
  for (const client of ['curl', 'ethers', 'viem', 'web3.js', 'wscat']) {
    await page.getByRole('tab', { name: client }).click();
    expect(await page.locator('.snippet code').textContent()).toContain(secret);
  }
  await page.keyboard.press('Escape');
  await page.getByText('will not be shown again').waitFor();
  await page.getByRole('button', { name: 'Yes, close' }).click();
  await page.locator('dialog').waitFor({ state: 'detached' });
  return secret;
}

/** Adds the first entry of a list, which tells what it brings about. */
async function add(page: Page, list: string, label: string, entry: string, told: string): Promise<void> {
  await page.getByRole('button', { name: `Add to ${list}` }).click();
  const form = page.getByRole('form', { name: `Add to ${list}` });
  await form.getByText(told).waitFor();
  await form.getByLabel(label, { exact: true }).fill(entry);
  await form.getByLabel(label, { exact: true }).press('Enter');
  await page.getByText(`${entry} added`).waitFor();
  await form.getByRole('button', { name: 'Done' }).click();
}

interface AxeResults {
  readonly violations: readonly { readonly id: string; readonly impact: string; readonly nodes: readonly unknown[] }[];
}

/** What colours and width decide; the rest is the same in every look. */
const BY_LOOK = ['color-contrast', 'target-size', 'scrollable-region-focusable', 'link-in-text-block'];

/** Takes the view through its looks and back to the first, so that the way there is walked once. */
async function expectSoundInEachLook(page: Page): Promise<void> {
  for (const [colorScheme, width] of [
    ['dark', 360],
    ['dark', 1200],
    ['light', 1200],
    ['light', 360],
  ] as const) {
    // A colour on its way to another would be measured.
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.setViewportSize({ width, height: 720 });
    await expectSound(page, colorScheme === 'light' && width === 1200 ? undefined : BY_LOOK);
  }
}

/** No fault that axe calls serious or critical, and nothing wider than the window. */
async function expectSound(page: Page, rules?: readonly string[]): Promise<void> {
  // The protocol's own evaluation is not bound by the page's policy, as a script element would be.
  if (await page.evaluate('typeof axe === "undefined"')) await page.evaluate(AXE);
  const { violations } = await page.evaluate<AxeResults>(
    `axe.run(document, { resultTypes: ["violations"]${rules ? `, runOnly: ${JSON.stringify(rules)}` : ''} })`,
  );
  const grave = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
  expect(grave.map(({ id, nodes }) => [id, JSON.stringify(nodes)])).toEqual([]);
  expect(await page.evaluate<number>('document.documentElement.scrollWidth - window.innerWidth')).toBeLessThanOrEqual(
    0,
  );
}

/** Usage of the only key: calls that were refused, with a request id. @returns the key. */
async function putRefusal({ store }: AdminApp): Promise<string> {
  const apiKey = (await store.list())[0]!.apiKey;
  const of = { apiKey, hour: hourOf(Date.now()), instance: 'a', outcome: 'METHOD_NOT_ALLOWED' } as const;
  const counted = { calls: 4, credits: 0, bytesIn: 0, bytesOut: 0, upstreamErrors: 0, lastAt: Date.now() };
  const name = JSON.stringify(['eth_getLogs', 'https://a.example', 'ethers', '', 'http', '']);
  await store.usage!.write([
    { ...of, ...counted, kind: 'total', name: '', requests: 4, peak: 0 },
    { ...of, ...counted, kind: 'method', name: 'eth_getLogs' },
    { ...of, ...counted, kind: 'refusal', name, detail: { first: 1, requestIds: ['id-of-support'] } },
  ]);
  return apiKey;
}
