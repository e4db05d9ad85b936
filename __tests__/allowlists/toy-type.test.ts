import '../support/toy-list';
import { MemoryStore } from '../../lib';
import type { KeySettingsInput, KeyView } from '../../lib';
import { dryRun } from '../../lib/explain/dry-run';
import { parseOptions } from '../../lib/options/options';
import { parseKeySettings } from '../../lib/settings/key-settings';
import { adminApp } from '../support/admin-app';
import { cli, cliJson, newFile } from '../support/cli';
import { KEY, call, guardedApp, post } from '../support/guarded-app';
import { thrownBy } from '../support/pieces';

const GERMAN = { allowlists: { languages: ['de'] } } as Partial<KeySettingsInput>;

describe('A type of list that is added in one row', () => {
  test('is in the settings, checked and with its default', () => {
    expect(parseKeySettings({ apiKey: KEY }).allowlists).toHaveProperty('languages', []);
    expect(parseKeySettings({ apiKey: KEY, ...GERMAN }).allowlists).toHaveProperty('languages', ['de']);
    const wrong = { apiKey: KEY, allowlists: { languages: ['d e'] } };
    expect(thrownBy(() => parseKeySettings(wrong)).message).toBe(
      'allowlists.languages.0: "d e" is no language; write "de"',
    );
  });

  test('is in force at the guard, with its own reason', async () => {
    const { rpcUrl, upstream } = await guardedApp({ keys: [{ apiKey: KEY, ...GERMAN }] });
    const refused = await post(rpcUrl, call('eth_chainId'), { 'Accept-Language': 'en' });
    expect(refused.status).toBe(403);
    expect(refused.json).toMatchObject({
      error: { code: -32002, message: 'rejected due to project ID settings', data: { reason: 'LANGUAGE_NOT_ALLOWED' } },
    });
    expect(upstream.seen).toEqual([]);
    expect((await post(rpcUrl, call('eth_chainId'), { 'Accept-Language': 'de-AT' })).status).toBe(200);
  });

  test.each([
    ['de-AT', { outcome: 'pass', reason: null, entry: 'de', why: 'matches' }],
    ['en', { outcome: 'refuse', reason: 'LANGUAGE_NOT_ALLOWED', entry: null, why: 'no entry matches' }],
    [undefined, { outcome: 'refuse', why: 'there is no Accept-Language header' }],
  ])('has a step in the dry run: %s', async (language, step) => {
    const store = new MemoryStore();
    const settings = parseKeySettings({ apiKey: KEY, ...GERMAN });
    const headers = language === undefined ? [] : [['Accept-Language', language] as const];
    const body = JSON.stringify(call('eth_chainId'));
    const options = parseOptions({ store, upstream: 'http://a' });
    const run = await dryRun({ apiKey: KEY, headers, body }, settings, options, store.limits);
    expect(run.steps).toContainEqual(expect.objectContaining({ step: 'languages', ...step }));
    expect(run.allowed).toBe(step.outcome === 'pass');
  });

  test('is in the API and its description', async () => {
    const app = await adminApp();
    const api: typeof app.api = (...asked) => app.api(...asked);
    const meta = (await api('GET', 'meta')).json as unknown as { readonly allowlists: readonly unknown[] };
    expect(meta.allowlists).toContainEqual(
      expect.objectContaining({
        type: 'languages',
        title: 'Languages',
        header: 'Accept-Language',
        examples: ['de', 'en-GB'],
      }),
    );
    const { apiKey } = (await api('POST', 'keys', { name: 'a' })).json.key;
    const added = await api('POST', `keys/${apiKey}/allowlists/languages`, { entries: ['de', 'DE', 'en-GB'] });
    expect(added.json.key.allowlists).toHaveProperty('languages', ['de', 'en-GB']);
    const preview = await api('POST', 'allowlists/languages/check', { entries: ['de', '*'], samples: ['de-CH', 'fr'] });
    expect(preview.json).toEqual({
      entries: [
        { entry: 'de', problem: null, doubt: null },
        { entry: '*', problem: 'is no language; write "de"', doubt: null },
      ],
      samples: [
        { sample: 'de-CH', matchedBy: 'de' },
        { sample: 'fr', matchedBy: null },
      ],
    });
    const tested = async (headers: object) =>
      (await api('POST', `keys/${apiKey}/test`, { method: 'eth_chainId', headers })).json;
    expect((await tested({ 'Accept-Language': 'de-AT' })).allowed).toBe(true);
    expect((await tested({ 'Accept-Language': 'fr' })).reason).toBe('LANGUAGE_NOT_ALLOWED');
    const described = JSON.stringify(await (await fetch(`${app.adminUrl}openapi.json`)).json());
    expect(described).toContain('"enum":["contractAddresses","userAgents","origins","methods","languages"]');
    expect(described).toContain('"enum":["key","secret","userAgents","origins","languages","body"');
  });

  test('has its option, its names and its lines on the command line', async () => {
    const store = newFile();
    const made = await cliJson<{ key: KeyView }>(['keys', 'create', '--language', 'de'], { store });
    const { apiKey } = made.key;
    expect(made.key).toHaveProperty('allowlists.languages', ['de']);
    await cliJson(['allow', 'add', apiKey, 'lang', 'en-GB'], { store });
    expect((await cli(['keys', 'show', apiKey], { store })).stdout).toMatch(/^ +languages +de\n +en-GB$/m);
  });
});
