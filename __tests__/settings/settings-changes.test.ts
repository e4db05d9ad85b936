import { parseKeySettings } from '../../lib/settings/key-settings';
import type { KeySettingsInput } from '../../lib/settings/key-settings';
import { changesBetween } from '../../lib/settings/settings-changes';

const HASH = 'a'.repeat(64);
const settings = (more: Partial<KeySettingsInput>) => parseKeySettings({ apiKey: 'my-first-key', ...more });

test('names entries that came and went, but neither their order nor a case that the list ignores', () => {
  const before = settings({ allowlists: { methods: ['eth_call', 'eth_chainId'], userAgents: ['curl'] } });
  const after = settings({ allowlists: { methods: ['eth_chainId', 'eth_getLogs'], userAgents: ['curl'] } });
  expect(changesBetween(before, after)).toEqual([
    { path: 'allowlists.methods', to: 'eth_getLogs' },
    { path: 'allowlists.methods', from: 'eth_call' },
  ]);
  expect(changesBetween(before, settings({ allowlists: { ...before.allowlists } }))).toEqual([]);
});

test('names each limit', () => {
  const before = settings({ limits: { perSecond: 5, perDay: 100 } });
  const after = settings({ limits: { perSecond: 9, perAddress: { perSecond: 1 } } });
  expect(changesBetween(before, after)).toEqual([
    { path: 'limits.perSecond', from: 5, to: 9 },
    { path: 'limits.perDay', from: 100 },
    { path: 'limits.perAddress.perSecond', to: 1 },
  ]);
});

test('names what changed of a secret; of its hash, only that it changed', () => {
  const secret = { id: 's1', hash: HASH, label: 'server', hint: 'rgs_abcd' };
  const one = settings({ secrets: [secret] });
  expect(changesBetween(settings({}), one)).toEqual([{ path: 'secrets.s1', to: 'server rgs_abcd…' }]);
  const other = settings({ secrets: [{ ...secret, hash: 'b'.repeat(64), label: 'cron' }], createdAt: one.createdAt });
  const changes = changesBetween(one, other);
  expect(changes).toContainEqual({ path: 'secrets.s1.label', from: 'server', to: 'cron' });
  expect(changes).toContainEqual({ path: 'secrets.s1.hash', from: 'a hash', to: 'another hash' });
  expect(JSON.stringify(changes)).not.toMatch(/[0-9a-f]{64}/);
});
