import type { FileHandle } from 'node:fs/promises';
import { parseKeySettings } from '../../lib/settings/key-settings';
import { differenceOf } from '../../lib/stores/file-difference';
import { atOnce } from '../../lib/stores/in-turns';
import { SettingsFile } from '../../lib/stores/settings-file';
import { thrownBy } from '../support/pieces';

const readAgain = (document: SettingsFile, text: string) => document.apply(atOnce(document.editTo(Buffer.from(text))));
function read(text: string): SettingsFile {
  const document = new SettingsFile('keys.json');
  readAgain(document, text);
  return document;
}

/** What stands where, and is how often there. */
const shapeOf = ({ records, byKey, bytes }: SettingsFile) => ({
  text: bytes.toString(),
  records: records.map(({ apiKey, foldedName, isTwice, start, end }) => [apiKey, foldedName, isTwice, start, end]),
  first: [...byKey].map(([apiKey, record]) => [apiKey, records.indexOf(record)]).sort(),
});

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
      expect(shapeOf(document)).toEqual(shapeOf(read(textOf(document))));
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
    const changed = (text: string) =>
      [...readAgain(read(documentOf(a, b, c, d)), text)]
        .map((key) => key.at(-1))
        .sort()
        .join('');
    expect(changed(documentOf(a, b, c, d))).toBe('');
    expect(changed(`{ "note": 1, "keys": [${d}, ${c}, ${b}, ${a}] }`)).toBe('');
    expect(changed(documentOf(d))).toBe('abc');
    expect(changed(documentOf(a, '{"apiKey":"key-000b","name":"x"}', c, d, '{"apiKey":"key-000e"}'))).toBe('be');
    expect(changed(documentOf(a, b, b, c, d))).toBe('b');
  });

  test('reads a key whose time was no time, and was taken out again', () => {
    const document = read('{ "keys": [{ "apiKey": "key-0001", "createdAt": "2027-01-31" }] }');
    expect(thrownBy(() => document.settingsOf(document.byKey.get('key-0001')!)).message).toContain('createdAt');
    expect([...readAgain(document, '{ "keys": [{ "apiKey": "key-0001" }] }')]).toEqual(['key-0001']);
    expect(document.settingsOf(document.byKey.get('key-0001')!)).toMatchObject({ apiKey: 'key-0001' });
  });

  test('keeps the time at which a key without one was first read', async () => {
    const document = read(documentOf(a, b));
    const first = document.parse(document.byKey.get('key-000b')!);
    await new Promise((resolve) => setTimeout(resolve, 5));
    readAgain(document, documentOf(b, c));
    expect(document.parse(document.byKey.get('key-000b')!)).toEqual(first);
    expect(document.parse(document.byKey.get('key-000c')!).createdAt > first.createdAt).toBe(true);
  });

  test('is read in steps, so that others get their turn', () => {
    const many = Array.from({ length: 5000 }, (_, n) => `{"apiKey":"key-${String(n).padStart(5, '0')}"}`);
    const reading = new SettingsFile('keys.json').editTo(Buffer.from(documentOf(...many)));
    let steps = 1;
    while (reading.next().done !== true) steps++;
    expect(steps).toBeGreaterThanOrEqual(50);
  });
});

describe('a settings file of which a part is read again', () => {
  const fileOf = (text: string) => {
    const content = Buffer.from(text);
    const read = (into: Buffer, at: number, length: number, from: number) =>
      Promise.resolve({ bytesRead: content.copy(into, at, from, from + length) });
    return { content, file: { read } as unknown as FileHandle };
  };

  /** What a store does; `undefined` where it has to read the whole file. */
  async function readPart(document: SettingsFile, text: string): Promise<ReadonlySet<string> | undefined> {
    const { content, file } = fileOf(text);
    const difference = await differenceOf(file, content.length, document.bytes, Buffer.alloc(16));
    if (difference === undefined) return new Set();
    const part = document.partAround(difference.start, difference.end);
    if (part === undefined) return undefined;
    const bytes = content.subarray(part.start, part.end + content.length - document.bytes.length);
    const edit = atOnce(document.editAt(part, bytes));
    return edit && document.apply(edit);
  }

  const item = (n: number, name = '') => `{ "apiKey": "key-000${String(n)}"${name && `, "name": "${name}"`} }`;
  const text = `{ "keys": [\n${[1, 2, 3, 4].map((n) => item(n)).join(',\n')}\n], "note": 1 }`;

  test.each([
    ['an item is changed', text.replace(item(2), item(2, 'x')), ['key-0002']],
    ['an item is taken out', text.replace(`${item(3)},\n`, ''), ['key-0003']],
    ['the last is taken out', text.replace(`,\n${item(4)}`, ''), ['key-0004']],
    ['items are added', text.replace(item(4), `${item(4)},${item(5)}, ${item(6)}`), ['key-0005', 'key-0006']],
    ['an item is there twice', text.replace(item(1), `${item(1)},${item(1)}`), ['key-0001']],
    ['the same is there twice, and goes', text.replace(item(3), item(2)), ['key-0002', 'key-0003']],
    ['white space is added', text.replaceAll('\n', ' \n\t'), []],
    ['all are taken out', '{ "keys": [], "note": 1 }', [1, 2, 3, 4].map((n) => `key-000${String(n)}`)],
  ])('is as if all of it had been read: %s', async (_, after, changed) => {
    const document = read(text);
    const kept = document.byKey.get('key-0001');
    const found = await readPart(document, after);
    expect([...found!].sort()).toEqual(changed);
    expect(shapeOf(document)).toEqual(shapeOf(read(after)));
    if (after.includes('0001') && !changed.includes('key-0001')) expect(document.byKey.get('key-0001')).toBe(kept);
    await readPart(document, text);
    expect(shapeOf(document)).toEqual(shapeOf(read(text)));
  });

  test('knows the first of two with the same key, also when they change places', async () => {
    const both = text.replace(item(3), item(2, 'x'));
    const turned = text.replace(item(2), item(2, 'x')).replace(item(3), item(2));
    const document = read(both);
    expect([...(await readPart(document, turned))!]).toEqual([]);
    expect(shapeOf(document)).toEqual(shapeOf(read(turned)));
  });

  test.each([
    ['what is not an item', text.replace(item(2), 'x')],
    ['an end of the list in it', text.replace(item(2), `${item(2)}], "x": [`)],
    ['no comma', text.replace(`${item(2)},`, item(2))],
    ['a comma too many', text.replace(item(4), `${item(4)},`)],
    ['no item before the first comma', text.replace(item(1), '')],
    ['no item between two commas', text.replace(item(2), '')],
    ['no item behind the last comma', text.replace(item(4), '')],
    ['a string that does not end', text.replace(item(2), '"')],
    ['a change before the list', text.replace('keys', 'Keys')],
    ['a change behind it', text.replace('"note": 1', '"note": 2')],
  ])('is left for a reading of the whole: %s', async (_, after) => {
    const document = read(text);
    expect(await readPart(document, after)).toBeUndefined();
    expect(shapeOf(document)).toEqual(shapeOf(read(text)));
  });

  test('after any edits is as if all of it had been read', async () => {
    let seed = 11;
    const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
    const pieces = [
      item(1),
      item(2),
      `${item(3, 'ü')},`,
      `, ${item(4)}`,
      ',',
      ' ',
      '\n',
      ']',
      '[',
      '{',
      '}',
      '"',
      'null,',
    ];
    let document = read(text);
    let good = 0;
    for (let n = 0; n < 1000; n++) {
      const now = textOf(document);
      const [at, length] = [random(now.length), random(2) * random(60)];
      const after = now.slice(0, at) + pieces[random(pieces.length)]! + now.slice(at + length);
      const fresh = [() => read(after)].map((work) => {
        try {
          return work();
        } catch {
          return undefined;
        }
      })[0];
      const before = shapeOf(document);
      const found = await readPart(document, after);
      if (found !== undefined) expect(shapeOf(document)).toEqual(fresh && shapeOf(fresh));
      else expect(shapeOf(document)).toEqual(before);
      if (fresh !== undefined) document = fresh;
      if (found !== undefined && fresh !== undefined) good++;
      if (document.bytes.length > 600) document = read(text);
    }
    expect(good).toBeGreaterThan(50);
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
