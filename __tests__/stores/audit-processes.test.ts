import { execFile, fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { FileStore, KeyManager } from '../../lib';
import type { AuditEvent } from '../../lib';
import { AuditFiles } from '../../lib/stores/audit-files';
import { endAfterTest } from '../support/cleanup';
import { KEY } from '../support/pieces';

const WRITER = join(__dirname, '../support/audit-writer.cjs');

function place(): string {
  const folder = mkdtempSync(join(tmpdir(), 'rpc-guard-'));
  endAfterTest(() => rmSync(folder, { recursive: true }));
  return join(folder, 'keys.json');
}

test('while two processes write and a third reads, rotation loses no event, tells none twice and keeps their order', async () => {
  const file = place();
  const [COUNT, MAX_BYTES] = [150, 3000];
  const files = new AuditFiles({ path: () => file, inLock: (work) => work(), isMade: () => true }, MAX_BYTES);
  const all = async (): Promise<readonly AuditEvent[]> => {
    const found: AuditEvent[] = [];
    for (let page = await files.list({ limit: 20 }); page.length > 0;) {
      found.push(...page);
      page = await files.list({ limit: 20, before: found.at(-1)!.id });
    }
    return found;
  };
  /** The newest of each writer without a gap, in order, and nothing twice. */
  const expectWhole = (events: readonly AuditEvent[], writers: readonly string[]) => {
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
    for (const writer of writers) {
      const versions = events.filter(({ actor }) => actor === writer).map(({ version }) => version);
      expect(versions).toEqual(versions.map((_, n) => (versions[0] ?? 0) - n));
    }
  };
  const over = new AbortController();
  const write = (name: string) =>
    promisify(execFile)(process.execPath, [WRITER, 'rotate', file, name, String(COUNT), String(MAX_BYTES)]);
  const written = Promise.all([write('ann'), write('bob')]).finally(() => over.abort());
  while (!over.signal.aborted) expectWhole(await all(), ['ann', 'bob']);
  await written;
  const kept = await all();
  expectWhole(kept, ['ann', 'bob']);
  expect(kept.map(({ version }) => version)).toContain(COUNT);
  const names = readdirSync(join(file, '..')).filter((name) => name.includes('.audit.'));
  expect(names).toHaveLength(10);
  const lines = names.flatMap((name) =>
    readFileSync(join(file, '..', name), 'utf8')
      .trimEnd()
      .split('\n'),
  );
  expect(lines.map((line) => (JSON.parse(line) as AuditEvent).id).sort()).toEqual(kept.map(({ id }) => id).sort());
});

test('a process that is killed at any moment leaves no change without its event, and no event without its change', async () => {
  const file = place();
  const store = new FileStore(file);
  endAfterTest(() => store.close());
  const manager = new KeyManager(store);
  await manager.create({ apiKey: KEY });
  const started: ChildProcess[] = Array.from({ length: 8 }, () => fork(WRITER, ['change', file, KEY]));
  endAfterTest(() => started.forEach((child) => child.kill('SIGKILL')));
  await Promise.all(started.map((child) => once(child, 'message')));
  for (const [n, child] of started.entries()) {
    child.send('go');
    await once(child, 'message');
    await new Promise((resolve) => setTimeout(resolve, n));
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    rmSync(`${file}.lock`, { recursive: true, force: true }); // it would be taken over after 4 s
  }
  const after = new FileStore(file);
  endAfterTest(() => after.close());
  const versions = (await new KeyManager(after).audit({ limit: 500 })).map(({ version }) => version);
  const { version } = (await after.get(KEY))!;
  expect(version).toBeGreaterThan(started.length);
  expect(versions).toEqual(Array.from({ length: version }, (_, n) => version - n));
});
