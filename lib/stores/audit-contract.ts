import assert from 'node:assert/strict';
import { parseKeySettings } from '../settings/key-settings';
import { auditEvent } from './audit-event';
import type { Happening } from './audit-event';
import type { AuditEvent, AuditQuery, AuditStore } from './audit-store';
import type { WritableSettingsStore } from './settings-store';
import { testStoreRules } from './test-rules';
import type { Rules, Test } from './test-rules';

/** A store that keeps a history. */
export type AuditedStore = WritableSettingsStore & { readonly audit: AuditStore };

const KEY = '0123456789abcdef0123456789abcdef';
const OTHER_KEY = 'fedcba9876543210fedcba9876543210';

/**
 * What the history of changes relies on. Registers one test for each rule.
 * @param open makes a store without any key and event, for one test; it is initialised and closed by that.
 */
export function auditContract(test: Test, open: () => AuditedStore | Promise<AuditedStore>): void {
  testStoreRules(test, RULES, open);
}

const RULES: Rules<AuditedStore> = [
  [
    'has no event at first',
    async ({ audit }) => {
      assert.deepEqual(await audit.list({ limit: 500 }), []);
    },
  ],

  [
    'keeps the event of a change, with the version that was written, and gives it back as it was',
    async (store) => {
      const secrets = [{ hash: 'a'.repeat(64), label: 'server' }];
      const after = parseKeySettings({ apiKey: KEY, name: 'dapp ☃ \'";--\0', secrets });
      const event = eventOf({ action: 'key.create', after, version: 1, requestId: 'a', group: 'b', secretId: 'c' });
      const written = await change(store, after, 0, event);
      assert.deepEqual(await idsIn(store), [event.id]);
      assert.deepEqual(await store.audit.list({ limit: 1 }), [JSON.parse(JSON.stringify(event))]);
      assert.equal(written.version, event.version);
    },
  ],

  [
    'keeps no event of a change that is refused',
    async (store) => {
      await change(store, { apiKey: KEY }, 0, eventOf({ version: 1 }));
      await assert.rejects(change(store, { apiKey: KEY, name: 'stale' }, 7, eventOf({ version: 8 })));
      await assert.rejects(change(store, { apiKey: KEY, name: 'x'.repeat(201) }, 1, eventOf({ version: 2 })));
      await assert.rejects(store.delete(KEY, 7, eventOf({ action: 'key.delete' })));
      assert.equal(await store.delete(OTHER_KEY, undefined, eventOf({ action: 'key.delete' })), false);
      assert.equal((await idsIn(store)).length, 1);
    },
  ],

  [
    'keeps the history of a key that is deleted, and of one that takes its place',
    async (store) => {
      const made = eventOf({ version: 1, at: '2027-01-31T00:00:00.000Z' });
      const gone = eventOf({ version: 2, at: '2027-01-31T00:00:00.001Z', action: 'key.delete' });
      const again = eventOf({ version: 1, at: '2027-01-31T00:00:00.002Z' });
      await change(store, { apiKey: KEY }, 0, made);
      assert.equal(await store.delete(KEY, 1, gone), true);
      if (store.audit.isKeptWithChange !== true) await store.audit.append([gone]);
      await change(store, { apiKey: KEY }, 0, again);
      assert.deepEqual(await idsIn(store, { apiKey: KEY }), [again.id, gone.id, made.id]);
    },
  ],

  [
    'keeps the events of many writers of a key in the order of its versions',
    async (store) => {
      await change(store, { apiKey: KEY }, 0, eventOf({ version: 1 }));
      await Promise.all(Array.from({ length: 5 }, (_, n) => writeUntilDone(store, `writer ${String(n)}`)));
      const events = await store.audit.list({ apiKey: KEY, limit: 500 });
      assert.deepEqual(
        events.map(({ version }) => version),
        [6, 5, 4, 3, 2, 1],
      );
    },
  ],

  [
    'finds events by key, actor and action, whatever they hold',
    async ({ audit }) => {
      const actors = ['ann', 'Ann', 'a"n\\n', 'ann\n', "o'hara ☃", '"actor":"ann"'];
      const events = [
        ...actors.map((actor) => eventOf({ actor })),
        eventOf({ apiKey: KEY.toUpperCase() }),
        eventOf({ apiKey: OTHER_KEY, action: 'key.delete', actor: 'ann' }),
        eventOf({ apiKey: '', action: 'admin.denied' }),
      ];
      await audit.append(events);
      const find = async (query: Partial<AuditQuery>) =>
        (await audit.list({ ...query, limit: 500 })).map(({ id }) => id);
      const idsOf = (isWanted: (event: AuditEvent) => boolean) => events.filter(isWanted).map(({ id }) => id);
      for (const asked of actors) {
        assert.deepEqual(new Set(await find({ actor: asked })), new Set(idsOf(({ actor }) => actor === asked)));
      }
      assert.deepEqual(await find({ apiKey: KEY.toUpperCase() }), [events[6]!.id]);
      assert.deepEqual(await find({ action: 'key.delete', actor: 'ann' }), [events[7]!.id]);
      assert.deepEqual(await find({ apiKey: KEY, action: 'key.delete' }), []);
      assert.deepEqual(await find({ action: 'admin.denied' }), [events[8]!.id]);
      assert.equal((await find({})).length, events.length);
    },
  ],

  [
    'gives the newest first, page by page',
    async ({ audit }) => {
      const start = Date.parse('2027-01-31T00:00:00.000Z');
      const at = (n: number) => new Date(start + n).toISOString();
      const events = Array.from({ length: 7 }, (_, n) => eventOf({ at: at(n), apiKey: n % 2 === 0 ? KEY : OTHER_KEY }));
      await audit.append(events);
      const all = events.map(({ id }) => id).reverse();
      assert.deepEqual(await pagesOf(audit, {}), all);
      assert.deepEqual(await pagesOf(audit, { apiKey: KEY }), [all[0], all[2], all[4], all[6]]);
      assert.deepEqual(await pagesOf(audit, { actor: 'ann' }), all);
    },
  ],

  [
    'gives an event that is appended late in its place, and takes any id to go on behind',
    async ({ audit }) => {
      const [late, first, second] = ['00', '01', '02'].map((second) =>
        eventOf({ at: `2027-01-31T00:00:${second}.000Z` }),
      );
      await audit.append([first!]);
      await audit.append([second!]);
      await audit.append([late!]);
      const ids = (events: readonly AuditEvent[]) => events.map(({ id }) => id);
      assert.deepEqual(ids(await audit.list({ limit: 9 })), [second!.id, first!.id, late!.id]);
      assert.deepEqual(ids(await audit.list({ before: eventOf({ at: '2027-01-31T00:00:01.500Z' }).id, limit: 1 })), [
        first!.id,
      ]);
    },
  ],

  [
    'keeps an event once that is appended twice',
    async ({ audit }) => {
      const [first, second] = [eventOf({}), eventOf({})];
      await audit.append([first]);
      await audit.append([first, second]);
      await audit.append([]);
      assert.equal((await audit.list({ limit: 500 })).length, 2);
    },
  ],
];

function eventOf(more: Partial<Happening>): AuditEvent {
  return auditEvent({ actor: 'ann', via: 'code', action: 'key.update', apiKey: KEY, ...more });
}

/** As `KeyManager` makes a change. */
async function change(store: AuditedStore, ...[settings, version, event]: Required<Parameters<AuditedStore['set']>>) {
  const written = await store.set(settings, version, event);
  if (store.audit.isKeptWithChange !== true) await store.audit.append([event]);
  return written;
}

async function writeUntilDone(store: AuditedStore, name: string): Promise<void> {
  for (;;) {
    const { version } = (await store.get(KEY))!;
    const event = eventOf({ version: version + 1 });
    const written = await change(store, { apiKey: KEY, name }, version, event).catch(() => undefined);
    if (written !== undefined) return;
  }
}

async function idsIn({ audit }: AuditedStore, query: Partial<AuditQuery> = {}): Promise<readonly string[]> {
  return (await audit.list({ ...query, limit: 500 })).map(({ id }) => id);
}

async function pagesOf(audit: AuditStore, query: Partial<AuditQuery>): Promise<readonly string[]> {
  const ids: string[] = [];
  for (;;) {
    const page = await audit.list({ ...query, before: ids.at(-1), limit: 2 });
    ids.push(...page.map(({ id }) => id));
    if (page.length === 0) return ids;
  }
}
