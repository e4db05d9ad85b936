import { parseKeySettings } from '../../lib/settings/key-settings';
import { atOnce } from '../../lib/stores/in-turns';
import { SettingsFile } from '../../lib/stores/settings-file';
import { thrownBy } from '../support/pieces';

const read = (text: string, before?: SettingsFile) => atOnce(SettingsFile.read(Buffer.from(text), 'keys.json', before));
const textOf = (document: SettingsFile) => document.bytes.toString();
const settings = (apiKey: string, name = '') => parseKeySettings({ apiKey, name, createdAt: '2026-01-01T00:00:00Z' });
const keysIn = (text: string) => (JSON.parse(text) as { keys: { apiKey: string }[] }).keys.map(({ apiKey }) => apiKey);

function edit(document: SettingsFile, apiKey: string, to: ReturnType<typeof settings> | undefined): void {
  const change = document.editOf(document.byKey.get(apiKey), to);
  const text = Buffer.concat(change === undefined ? [document.bytes] : document.partsWith(change)).toString();
  if (change !== undefined) document.apply(change);
  expect(textOf(document)).toBe(text);
}

describe('an edit of a settings file', () => {
  const styles = {
    'on lines':
      '{\n  "$schema": "x",\n  "keys": [\n    { "apiKey": "key-0001" },\n    { "apiKey": "key-0002" }\n  ]\n}\n',
    'in one line': '{"keys":[{"apiKey":"key-0001"},{"apiKey":"key-0002"}],"note":[1.0]}',
    'with spaces': '{ "keys" : [ { "apiKey": "key-0001" } , { "apiKey": "key-0002" } ] }',
    'with tabs and CRLF': '{\r\n\t"keys": [\r\n\t\t{"apiKey": "key-0001"},\r\n\t\t{"apiKey": "key-0002"}\r\n\t]\r\n}',
  };

  test.each(Object.entries(styles))('leaves every other byte as it is, %s', (_, text) => {
    const [before, after] =
      text.split('{"apiKey":"key-0002"}').length === 2
        ? text.split('{"apiKey":"key-0002"}')
        : text.split('{ "apiKey": "key-0002" }').length === 2
          ? text.split('{ "apiKey": "key-0002" }')
          : text.split('{"apiKey": "key-0002"}');
    const document = read(text);
    edit(document, 'key-0002', settings('key-0002', 'ü'));
    expect(textOf(document).startsWith(before!)).toBe(true);
    expect(textOf(document).endsWith(after!)).toBe(true);
    expect(document.settingsOf(document.byKey.get('key-0002')!).name).toBe('ü');
  });

  test.each(Object.entries(styles))('takes out and adds at any place, %s', (_, text) => {
    const document = read(text);
    edit(document, 'key-0001', undefined);
    expect(keysIn(textOf(document))).toEqual(['key-0002']);
    edit(document, 'key-0003', settings('key-0003'));
    expect(keysIn(textOf(document))).toEqual(['key-0002', 'key-0003']);
    edit(document, 'key-0003', undefined);
    edit(document, 'key-0002', undefined);
    expect(keysIn(textOf(document))).toEqual([]);
    edit(document, 'key-0004', settings('key-0004'));
    expect(keysIn(textOf(document))).toEqual(['key-0004']);
  });

  test('after any others gives what reading the whole text gives', () => {
    let seed = 7;
    const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
    const document = read('{ "keys": [null, { "name": "no key" }] }');
    for (let n = 0; n < 300; n++) {
      const apiKey = `key-${String(random(12)).padStart(4, '0')}`;
      edit(document, apiKey, random(3) === 0 ? undefined : settings(apiKey, 'näme'.repeat(random(4))));
      const fresh = read(textOf(document));
      const shape = ({ records }: SettingsFile) =>
        records.map(({ apiKey: key, foldedName, start, end }) => [key, foldedName, start, end]);
      expect(shape(document)).toEqual(shape(fresh));
      expect([...document.byKey.keys()].sort()).toEqual([...fresh.byKey.keys()].sort());
    }
  });
});

describe('a settings file that is read again', () => {
  const documentOf = (...keys: string[]) => `{"keys":[${keys.join(',')}]}`;
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((it) => `{"apiKey":"key-000${it}"}`) as [
    string,
    string,
    string,
    string,
  ];

  test('reports keys that came, went or changed, and no others, wherever they stand', () => {
    const before = read(documentOf(a, b, c, d));
    const changed = (text: string) =>
      [...read(text, before).changed]
        .map((key) => key.at(-1))
        .sort()
        .join('');
    expect(changed(documentOf(a, b, c, d))).toBe('');
    expect(changed(`{ "note": 1, "keys": [${d}, ${c}, ${b}, ${a}] }`)).toBe('');
    expect(changed(documentOf(d))).toBe('abc');
    expect(changed(documentOf(a, '{"apiKey":"key-000b","name":"x"}', c, d, '{"apiKey":"key-000e"}'))).toBe('be');
    expect(changed(documentOf(a, b, b, c, d))).toBe('b');
  });

  test('keeps the time at which a key without one was first read', async () => {
    const before = read(documentOf(a, b));
    const first = before.parse(before.byKey.get('key-000b')!);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const after = read(documentOf(b, c), before);
    expect(after.parse(after.byKey.get('key-000b')!)).toEqual(first);
    expect(after.parse(after.byKey.get('key-000c')!).createdAt > first.createdAt).toBe(true);
  });

  test('is read in steps, so that others get their turn', () => {
    const many = Array.from({ length: 5000 }, (_, n) => `{"apiKey":"key-${String(n).padStart(5, '0')}"}`);
    const reading = SettingsFile.read(Buffer.from(documentOf(...many)), 'keys.json');
    let steps = 1;
    while (reading.next().done !== true) steps++;
    expect(steps).toBeGreaterThan(50);
  });
});

describe('what is not a settings file', () => {
  const texts = [
    '{"keys":[,]}',
    '{"keys":[{"apiKey":"key-0001"},]}',
    '{"keys":[{"apiKey":"key-0001"} {"apiKey":"key-0002"}]}',
    '{"keys":[{"apiKey":"key-0001"]}',
    '{"keys":[{"apiKey":"key-0001"}',
    '{"keys":[{"apiKey":"key-0001"}}',
    '{"keys":["unended]}',
    '{"keys":[{]}]}',
    '{"keys":[]]}',
    '{"keys":[]',
    '{"keys" "x":[]}',
    '["keys",[]]',
    '{"a":"keys",[]}',
    '{"keys":[],"k\\u0065ys":[{"apiKey":"key-0001"}]}',
    '{"keys":[{"apiKey":"key-0001","apiKey":"key-0002"}]}',
    `{"keys":[${'['.repeat(40)}${']'.repeat(40)}]}`,
    '',
  ];
  test.each(texts)('is refused whole, and nothing of it is quoted: %s', (text) => {
    const { code, message } = thrownBy(() => read(text));
    expect(code).toBe('ERR_RPC_GUARD_STORE');
    expect(message).not.toContain('key-0001');
  });
});
