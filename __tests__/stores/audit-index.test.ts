import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { auditEvent } from '../../lib/stores/audit-event';
import { AuditIndex } from '../../lib/stores/audit-index';
import type { AuditQuery } from '../../lib/stores/audit-store';
import { endAfterTest } from '../support/cleanup';
import { KEY } from '../support/pieces';

test('a file that grows and is renamed while it is read loses no event', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rpc-guard-'));
  endAfterTest(() => rmSync(folder, { recursive: true }));
  const [newest, older] = [join(folder, '0.jsonl'), join(folder, '1.jsonl')] as const;
  let version = 0;
  const append = (): void => {
    const event = auditEvent({ actor: 'ann', via: 'code', action: 'key.update', apiKey: KEY, version: ++version });
    appendFileSync(newest, `${JSON.stringify(event)}\n`);
  };
  let between = (): void => {
    append();
    renameSync(newest, older);
  };
  function* paths(): Generator<string, void> {
    yield newest;
    between();
    yield older;
  }
  // What happens between two files happens as they are asked for.
  const index = new AuditIndex(() => ({ [Symbol.iterator]: paths }) as unknown as readonly string[]);
  await index.close(); // reads nothing in the background
  const versions = async () => (await index.find({ limit: 10 })).map((event) => event.version);
  for (let n = 0; n < 3; n++) append();
  expect(await versions()).toEqual([4, 3, 2, 1]);
  between = () => undefined;
  append();
  expect(await versions()).toEqual([5, 4, 3, 2, 1]);
});

test('a page of the newest events needs no file that was last written before them', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rpc-guard-'));
  endAfterTest(() => rmSync(folder, { recursive: true }));
  const [newest, older] = [join(folder, '0.jsonl'), join(folder, '1.jsonl')] as const;
  const now = Date.now();
  const eventAt = (milliseconds: number, actor = 'ann') =>
    auditEvent({ actor, via: 'code', action: 'key.update', apiKey: KEY, at: new Date(milliseconds).toISOString() });
  const [late, first, second] = [eventAt(now - 3_600_000, 'bob'), eventAt(now - 1000), eventAt(now)];
  writeFileSync(newest, [late, first, second].map((event) => `${JSON.stringify(event)}\n`).join(''));
  mkdirSync(older); // whoever reads it gets an error
  const lastWritten = (milliseconds: number) => utimesSync(older, milliseconds / 1000, milliseconds / 1000);
  const ids = async (query: AuditQuery) => {
    const index = new AuditIndex(() => [newest, older]);
    await index.close(); // reads nothing in the background
    return (await index.find(query)).map(({ id }) => id);
  };
  lastWritten(now - 120_000);
  expect(await ids({ limit: 2 })).toEqual([second.id, first.id]);
  await expect(ids({ limit: 3 })).rejects.toThrow('EISDIR');
  await expect(ids({ actor: 'bob', limit: 1 })).rejects.toThrow('EISDIR');
  lastWritten(now - 30_000); // by a clock that is ahead
  await expect(ids({ limit: 2 })).rejects.toThrow('EISDIR');
});

describe('a history that is read ahead', () => {
  /** Ten files, the newest first, with an event each, of `actor 0` the newest. */
  function history() {
    const folder = mkdtempSync(join(tmpdir(), 'rpc-guard-'));
    endAfterTest(() => rmSync(folder, { recursive: true }));
    const paths = Array.from({ length: 10 }, (_, n) => join(folder, `${String(n)}.jsonl`));
    const now = Date.now();
    for (const [n, path] of paths.entries()) {
      const at = new Date(now - n * 3_600_000);
      const of = { via: 'code', action: 'key.update', apiKey: KEY } as const;
      writeFileSync(
        path,
        `${JSON.stringify(auditEvent({ ...of, actor: `actor ${String(n)}`, at: at.toISOString() }))}\n`,
      );
      utimesSync(path, at, at);
    }
    const index = new AuditIndex(() => paths);
    const actors = async (query: Partial<AuditQuery>) =>
      (await index.find({ limit: 10, ...query })).map(({ actor }) => actor);
    return { paths, index, actors };
  }

  /** So that only who reads the file again sees another actor in it. */
  function nameAnother(path: string, actor: string | RegExp = /actor \d/): void {
    const { atime, mtime } = statSync(path);
    writeFileSync(path, readFileSync(path, 'utf8').replace(actor, 'another'));
    utimesSync(path, atime, mtime);
  }

  test('is not read again for a question', async () => {
    const { paths, index, actors } = history();
    await index.preload();
    for (const path of paths) nameAnother(path);
    expect(await actors({ actor: 'another' })).toEqual([]);
  });

  test('is not read before somebody asks for that', async () => {
    const { paths, index, actors } = history();
    for (const path of paths) nameAnother(path);
    expect(await actors({ actor: 'another' })).toHaveLength(10);
    await index.close();
  });

  test('answers rightly while it is read', async () => {
    const { index, actors } = history();
    void index.preload();
    expect(await actors({ actor: 'actor 9' })).toEqual(['actor 9']);
    void index.preload();
    expect(await actors({ limit: 3 })).toEqual(['actor 0', 'actor 1', 'actor 2']);
    expect(await actors({ actor: 'nobody' })).toEqual([]);
    await index.close();
  });

  test('is read on where it has grown when it is read ahead again', async () => {
    const { paths, index, actors } = history();
    await index.preload();
    const event = auditEvent({ actor: 'actor x', via: 'code', action: 'key.update', apiKey: KEY });
    appendFileSync(paths[0]!, `${JSON.stringify(event)}\n`);
    await index.preload();
    nameAnother(paths[0]!, 'actor x');
    expect(await actors({ actor: 'another' })).toEqual([]);
  });

  test('is read anew where somebody has edited its files, though it is just being read ahead', async () => {
    const { paths, index, actors } = history();
    const line = (actor: string): string =>
      `${JSON.stringify(auditEvent({ actor, via: 'code', action: 'key.update', apiKey: KEY }))}\n`;
    for (const path of paths) appendFileSync(path, line('last'));
    await index.preload();
    for (const path of paths) writeFileSync(path, readFileSync(path, 'utf8').replace('\n', `\n${line('between')}`));
    const found = await actors({ limit: 40 });
    expect(found.filter((actor) => actor === 'last')).toHaveLength(10);
    expect(found).toHaveLength(30);
    await index.close();
  });

  const edits: readonly (readonly [what: string, edit: (text: string) => string])[] = [
    ['has a member more at its end', (text) => text.replace('}\n', ',"note":"by hand"}\n')],
    ['has a member more at its beginning', (text) => text.replace('{', '{"note":"by hand",')],
    ['has spaces more', (text) => text.replace('}\n', '   }  \n')],
    ['is shorter', (text) => text.replace(',"changes":[]', '')],
  ];
  for (const place of ['last', 'before others'] as const) {
    test.each(edits)(`finds an event whose line somebody has edited, ${place}: it %s`, async (_what, edit) => {
      const { paths, index, actors } = history();
      const line = `${JSON.stringify(auditEvent({ actor: 'other', via: 'code', action: 'key.update', apiKey: KEY }))}\n`;
      if (place === 'before others') for (const path of paths) appendFileSync(path, line);
      await index.preload();
      for (const path of paths) writeFileSync(path, edit(readFileSync(path, 'utf8')));
      for (const n of paths.keys()) expect(await actors({ actor: `actor ${String(n)}` })).toHaveLength(1);
      expect(await index.find({ actor: 'actor 3', limit: 1 })).toEqual([
        JSON.parse(readFileSync(paths[3]!, 'utf8').split('\n')[0]!),
      ]);
      await index.close();
    });
  }

  test('finds an event whose line is longer by as much as the next one is shorter', async () => {
    const { paths, index, actors } = history();
    const line = (actor: string): string =>
      `${JSON.stringify(auditEvent({ actor, via: 'code', action: 'key.update', apiKey: KEY }))}\n`;
    appendFileSync(paths[4]!, line('second') + line('third'));
    await index.preload();
    const [first, second, third] = readFileSync(paths[4]!, 'utf8').split('\n');
    const cut = ',"changes":[]';
    const edited = [first!.replace(/}$/, `${' '.repeat(cut.length)}}`), second!.replace(cut, ''), third!];
    writeFileSync(paths[4]!, `${edited.join('\n')}\n`);
    expect(await actors({ actor: 'actor 4' })).toEqual(['actor 4']);
    expect(await actors({ actor: 'second' })).toEqual(['second']);
    await index.close();
  });

  test('finds an event by what somebody has made of it', async () => {
    const { paths, index, actors } = history();
    await index.preload();
    writeFileSync(paths[2]!, readFileSync(paths[2]!, 'utf8').replace('actor 2', 'somebody'));
    expect(await actors({ actor: 'somebody' })).toEqual(['somebody']);
    // As most editors write: a new file takes the place of the old one.
    writeFileSync(`${paths[3]!}.new`, readFileSync(paths[3]!, 'utf8').replace('actor 3', 'bobby b'));
    renameSync(`${paths[3]!}.new`, paths[3]!);
    expect(await actors({ actor: 'bobby b' })).toEqual(['bobby b']);
    await index.close();
  });

  test('keeps nothing of files that are gone when it is only ever read ahead', async () => {
    const { paths, index, actors } = history();
    const oldest = paths.at(-1)!;
    const away = `${oldest}.away`;
    await index.preload();
    renameSync(oldest, away);
    for (const path of paths) {
      const of = { via: 'code', action: 'key.update', apiKey: KEY } as const;
      for (let n = paths.length - 1; n > 0; n--) if (existsSync(paths[n - 1]!)) renameSync(paths[n - 1]!, paths[n]!);
      writeFileSync(paths[0]!, `${JSON.stringify(auditEvent({ ...of, actor: `new as ${path}` }))}\n`);
      await index.preload();
    }
    nameAnother(away, 'actor 9');
    renameSync(away, oldest);
    expect(await actors({ actor: 'another' })).toEqual(['another']);
    await index.close();
  });

  test('is looked at once for a question, as long as all of it is read', async () => {
    const { paths } = history();
    let looks = 0;
    const index = new AuditIndex(() => {
      looks++;
      return paths;
    });
    await index.find({ limit: 1 });
    await index.preload();
    looks = 0;
    expect(await index.find({ limit: 1 })).toHaveLength(1);
    expect(await index.find({ actor: 'actor 9', limit: 1 })).toHaveLength(1);
    await index.close();
    expect(looks).toBe(2);
  });

  test('is read no further once it is closed', async () => {
    const { paths, index, actors } = history();
    const read = index.preload();
    await index.close();
    await read;
    nameAnother(paths[9]!);
    expect(await actors({ actor: 'another' })).toEqual(['another']);
  });
});
