import { parseKeySettings } from '../../../lib/settings/key-settings';
import type { ShownKey } from '../../../lib/admin/api';
import { exportSettings, importSettings } from '../../../lib/admin/dashboard/settings-json';

const KEY: ShownKey = {
  ...parseKeySettings({ apiKey: 'a-key-of-mine', name: 'Checkout', allowlists: { methods: ['eth_call'] } }),
  secrets: [{ id: '1', hint: 'rgs_abcd', label: 'billing', createdAt: '', state: 'active' }],
  warnings: [],
};

test('what is exported is imported as it was, without a secret or its hint', () => {
  const text = exportSettings(KEY);
  expect(text).not.toContain('rgs_');
  const { name, enabled, requireSecret, overrideAllowlists, allowlists } = KEY;
  expect(importSettings(text, KEY)).toEqual({
    changes: { name, enabled, requireSecret, overrideAllowlists, allowlists },
    ignored: [],
  });
});

test('what nobody sets by an import is left out, and told', () => {
  const text = '{"apiKey":"another-key","name":"New","secrets":[],"version":3,"createdAt":"2027-01-01T00:00:00Z"}';
  expect(importSettings(text, KEY)).toEqual({
    changes: { name: 'New' },
    ignored: ['secrets', 'version', 'createdAt'],
  });
});

test.each([
  ['[]', 'not a JSON object'],
  ['{"name":', 'not a JSON object'],
  ['{"requireSecrets":true}', 'no such setting: requireSecrets'],
  ['{"requireSecret":"yes"}', 'requireSecret: it takes a boolean'],
  ['{"allowlists":[]}', 'allowlists: it takes an object'],
  ['{"allowlists":{"ips":[]}}', 'no list ips; there are contractAddresses'],
  ['{"allowlists":{"methods":"eth_call"}}', 'allowlists.methods: it takes an array'],
])('%s is refused in words', (text, problem) => {
  expect(importSettings(text, KEY)).toEqual({ problem: expect.stringContaining(problem) as string });
});
