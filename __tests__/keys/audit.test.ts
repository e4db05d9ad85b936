import { counters } from '../../lib/counters';
import { KeyManager, MemoryStore } from '../../lib';
import type { AuditEvent, AuditStore } from '../../lib';
import { auditEvent } from '../../lib/stores/audit-event';
import { KEY, OTHER_KEY, recordingLogger } from '../support/pieces';

const HASH = 'a'.repeat(64);

test('each change is an event with its version, how it was made, and what changed', async () => {
  const heard: AuditEvent[] = [];
  const store = new MemoryStore();
  const manager = new KeyManager(store, { actor: 'ann', onAudit: (event) => heard.push(event) });
  await manager.create({ apiKey: KEY, name: 'dapp' });
  await manager.addToAllowlist(KEY, 'origins', 'https://app.example.com', { via: 'dashboard', requestId: 'r1' });
  await manager.update(KEY, { limits: { perDay: 5 } }, { actor: 'bob' });
  await manager.update(KEY, { name: 'shop', limits: null });
  await manager.delete(KEY);
  const events = await manager.audit({ apiKey: KEY });
  expect(events.map(({ action, version, actor, via }) => [action, version, actor, via])).toEqual([
    ['key.delete', 5, 'ann', 'code'],
    ['key.update', 4, 'ann', 'code'],
    ['limits.update', 3, 'bob', 'code'],
    ['allowlist.add', 2, 'ann', 'dashboard'],
    ['key.create', 1, 'ann', 'code'],
  ]);
  expect(events.map(({ changes }) => changes)).toEqual([
    [],
    [
      { path: 'name', from: 'dapp', to: 'shop' },
      { path: 'limits.perDay', from: 5 },
    ],
    [{ path: 'limits.perDay', to: 5 }],
    [{ path: 'allowlists.origins', to: 'https://app.example.com' }],
    [{ path: 'name', from: '', to: 'dapp' }],
  ]);
  expect(heard).toEqual([...events].reverse());
  expect(events[3]).toMatchObject({ requestId: 'r1', before: { version: 1 }, after: { version: 2 } });
});

test('each change has the name of what was done', async () => {
  const manager = new KeyManager(new MemoryStore());
  const { secretId } = await manager.create({ apiKey: KEY, secret: {} });
  await manager.create({ apiKey: OTHER_KEY }, { isImport: true, group: 'one act' });
  await manager.update(OTHER_KEY, { name: 'b' }, { isImport: true, group: 'one act' });
  await manager.update(KEY, { name: 'a' });
  await manager.update(KEY, { limits: { perSecond: 1 } });
  await manager.update(KEY, { reportOnly: ['methods'] });
  await manager.disable(KEY);
  await manager.enable(KEY);
  await manager.addToAllowlist(KEY, 'methods', 'eth_call');
  await manager.removeFromAllowlist(KEY, 'methods', 'eth_call');
  await manager.applyProposal(KEY, { lists: { origins: ['https://a.example'] } });
  await manager.addSecret(KEY);
  await manager.updateSecret(KEY, secretId, { label: 'server' });
  await manager.rotateSecret(KEY, secretId, { graceMs: 1000 });
  await manager.revokeSecret(KEY, secretId);
  await manager.delete(KEY);
  const events = [...(await manager.audit())].reverse();
  expect(events.map(({ action, group }) => (group === undefined ? action : `${action}, ${group}`))).toEqual([
    'key.create',
    'key.import, one act',
    'key.import, one act',
    'key.update',
    'limits.update',
    'report-only.update',
    'key.disable',
    'key.enable',
    'allowlist.add',
    'allowlist.remove',
    'allowlist.propose',
    'secret.add',
    'secret.update',
    'secret.rotate',
    'secret.revoke',
    'key.delete',
  ]);
});

test('reading is no event', async () => {
  const manager = new KeyManager(new MemoryStore([{ apiKey: KEY, name: 'dapp' }]));
  await manager.list({ search: 'dapp' });
  await manager.get(KEY);
  await manager.limits(KEY);
  await manager.usage(KEY);
  await manager.refusals(KEY);
  await manager.propose(KEY);
  await manager.audit({ apiKey: KEY });
  expect(await manager.audit()).toEqual([]);
});

test('what is kept is what was stored', async () => {
  const store = new MemoryStore();
  const manager = new KeyManager(store);
  await manager.create({ apiKey: KEY, requireSecret: true });
  await manager.disable(KEY);
  const [newest] = await manager.audit();
  expect(newest?.after).toEqual(await manager.get(KEY));
  expect(newest?.at).toBe((await store.get(KEY))?.updatedAt);
  expect(JSON.stringify(await manager.audit())).not.toMatch(/hash|[0-9a-f]{64}/);
});

test('finds by actor, action and time, a page at a time, and refuses what does not exist', async () => {
  const manager = new KeyManager(new MemoryStore(), { actor: 'ann' });
  await manager.create({ apiKey: KEY });
  await manager.disable(KEY, { actor: 'bob' });
  await manager.enable(KEY);
  expect(await manager.audit({ actor: 'bob' })).toHaveLength(1);
  expect(await manager.audit({ action: 'key.create' })).toHaveLength(1);
  const [newest] = await manager.audit({ limit: 1 });
  expect(await manager.audit({ before: newest!.id })).toHaveLength(2);
  expect(await manager.audit({ since: new Date(Date.now() + 60_000).toISOString() })).toEqual([]);
  expect(await manager.audit({ since: newest!.at })).not.toHaveLength(0);
  for (const wrong of [{ limit: 501 }, { action: 'key.made' }, { since: 'yesterday' }, { by: 'ann' }]) {
    await expect(manager.audit(wrong as object)).rejects.toMatchObject({ code: 'ERR_RPC_GUARD_ARGUMENT' });
  }
});

test('a change follows the one before it, though the clock of its writer is behind', async () => {
  const ahead = new Date(Date.now() + 30_000).toISOString();
  const manager = new KeyManager(new MemoryStore([{ apiKey: KEY, updatedAt: ahead }]));
  await manager.disable(KEY);
  await manager.enable(KEY);
  const [enabled, disabled] = await manager.audit();
  expect([enabled?.at, disabled?.at]).toEqual([ahead, ahead]);
  expect(enabled!.id > disabled!.id).toBe(true);
});

test('a key that is made again stands behind its deletion, in the same millisecond or by a clock ahead', async () => {
  const store = new MemoryStore();
  const manager = new KeyManager(store);
  for (let n = 0; n < 20; n++) {
    await manager.create({ apiKey: KEY });
    await manager.disable(KEY);
    await manager.delete(KEY);
  }
  const actions = (await manager.audit({ limit: 500 })).map(({ action }) => action).reverse();
  expect(actions).toEqual(Array.from({ length: 20 }, () => ['key.create', 'key.disable', 'key.delete']).flat());
  const ahead = { at: new Date(Date.now() + 30_000).toISOString(), version: 9, apiKey: KEY };
  await store.audit.append([auditEvent({ ...ahead, actor: 'ann', via: 'code', action: 'key.delete' })]);
  await manager.create({ apiKey: KEY });
  expect((await manager.audit({ limit: 2 })).map(({ action }) => action)).toEqual(['key.create', 'key.delete']);
});

test('the expiry of a secret is an event, once, whichever process reads it first', async () => {
  const expiresAt = '2026-01-01T00:00:00.000Z';
  const store = new MemoryStore([{ apiKey: KEY, secrets: [{ id: 's1', hash: HASH, expiresAt }] }]);
  for (const manager of [new KeyManager(store), new KeyManager(store)]) {
    await Promise.all([manager.get(KEY), manager.list()]);
    expect(await manager.audit()).toMatchObject([{ action: 'secret.expire', secretId: 's1', at: expiresAt }]);
  }
});

describe('a store that keeps no event with a change', () => {
  class Plain extends MemoryStore {
    failures = 0;
    kept: AuditEvent[] = [];
    override readonly audit: never = {
      append: (events: readonly AuditEvent[]) => {
        if (this.failures-- > 0) return Promise.reject(new Error('no history today'));
        this.kept.push(...events);
        return Promise.resolve();
      },
      list: () => Promise.resolve(this.kept),
    } satisfies AuditStore as never;
    override set(...[settings, version]: Parameters<MemoryStore['set']>): ReturnType<MemoryStore['set']> {
      return super.set(settings, version);
    }
  }

  test('gets it after the change, at the third try too', async () => {
    const store = new Plain();
    store.failures = 2;
    await new KeyManager(store).create({ apiKey: KEY });
    expect(store.kept).toMatchObject([{ action: 'key.create', apiKey: KEY }]);
  });

  test('has it in the log after three, by its id and without the key', async () => {
    const before = counters.auditFailures;
    const store = new Plain();
    store.failures = 3;
    const logger = recordingLogger();
    const heard: AuditEvent[] = [];
    await new KeyManager(store, { logger, onAudit: (event) => heard.push(event) }).create({ apiKey: KEY });
    expect(store.kept).toEqual([]);
    const text = JSON.stringify(logger.lines);
    expect(text).toContain('an audit event could not be kept');
    expect(text).toContain(heard[0]!.id);
    expect(text).not.toContain(KEY);
    expect(counters.auditFailures - before).toBe(1);
  });
});

test('a store without a history says so, and changes are made all the same', async () => {
  class Bare extends MemoryStore {
    override readonly audit = undefined as never;
    override set(...[settings, version]: Parameters<MemoryStore['set']>): ReturnType<MemoryStore['set']> {
      return super.set(settings, version);
    }
  }
  const manager = new KeyManager(new Bare());
  await manager.create({ apiKey: KEY });
  await expect(manager.audit()).rejects.toThrow('the store keeps no history');
});
