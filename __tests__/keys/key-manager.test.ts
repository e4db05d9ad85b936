import { inspect, types } from 'node:util';
import { KeyManager, MemoryStore, RpcGuardError, generateSecret, hashSecret } from '../../lib';
import type {
  AuditEvent,
  KeyManagerOptions,
  KeySettings,
  KeySettingsInput,
  KeyView,
  MadeSecret,
  WritableSettingsStore,
} from '../../lib';
import { describeEachStore, memoryShelf } from '../support/each-store';
import type { Shelf } from '../support/each-store';
import { basic, call, guardedApp, post } from '../support/guarded-app';
import { KEY, OTHER_KEY, recordingLogger, thrownBy } from '../support/pieces';
import { until } from '../support/until';

test('a key that is made with a secret has one by its type too', async () => {
  const manager = new KeyManager(new MemoryStore([]));
  const required = await manager.create({ requireSecret: true });
  const asked = await manager.create({ secret: {} });
  const lengths: number[] = [required.secret.length, asked.secretId.length];
  const { secret }: { readonly secret?: string } = await manager.create({ requireSecret: false });
  expect([lengths.every((length) => length > 8), secret]).toEqual([true, undefined]);
});

const LISTED = '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b';
const OTHER = '0x1111111111111111111111111111111111111111';
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const malformed = { name: 'RpcGuardError', code: 'ERR_RPC_GUARD_SETTINGS' };
const wrongArgument = { name: 'RpcGuardError', code: 'ERR_RPC_GUARD_ARGUMENT' };
const stale = { name: 'RpcGuardError', code: 'ERR_RPC_GUARD_STALE_WRITE' };
const keyUnknown = { name: 'RpcGuardError', code: 'ERR_RPC_GUARD_KEY_UNKNOWN' };
const secretUnknown = { name: 'RpcGuardError', code: 'ERR_RPC_GUARD_SECRET_UNKNOWN' };

/** Everything that a manager returned, threw, told or logged, and every secret that there was: the two never meet. */
let collected: unknown[] = [];
let secrets = new Set<string>();

afterEach(() => {
  jest.restoreAllMocks();
  const text = collected.map((value) => inspect(value, { depth: Infinity, maxStringLength: Infinity })).join('\n');
  for (const secret of secrets) {
    const hash = hashSecret(secret);
    for (const hidden of [secret.slice(0, 9), secret.slice(-12), hash, Buffer.from(hash, 'hex').toString('base64')]) {
      expect(text.includes(hidden)).toBe(false);
    }
  }
  expect(text).not.toMatch(/[0-9a-f]{64}|hash: '/i);
  collected = [];
  secrets = new Set();
});

function withoutSecret(result: unknown): unknown {
  const { secret, ...rest } = (result ?? {}) as { readonly secret?: unknown };
  if (typeof secret !== 'string') return result;
  secrets.add(secret);
  return rest;
}

/** A manager of which everything that comes out is kept. */
function managerOf(store: WritableSettingsStore, options: KeyManagerOptions = {}) {
  const events: AuditEvent[] = [];
  const logger = recordingLogger();
  collected.push(events, logger.lines);
  const onAudit = (event: AuditEvent) => events.push(event);
  const manager = new KeyManager(store, { actor: 'ada', logger, onAudit, ...options });
  const kept = new Proxy(manager, {
    get(target, name) {
      const method = Reflect.get(target, name, target) as (...args: unknown[]) => Promise<unknown>;
      return (...args: unknown[]) => {
        const result = method.apply(target, args);
        result.then(
          (value) => collected.push(withoutSecret(value)),
          (error: unknown) => collected.push(error),
        );
        return result;
      };
    },
  });
  return { manager: kept, events, logger };
}

interface Asked {
  readonly secret?: string | undefined;
  readonly userAgent?: string;
  readonly origin?: string;
  readonly body?: unknown;
}

/** What requests get from a guard over the store: `'passed'`, or the reason of the refusal. */
async function guardOver(store: WritableSettingsStore) {
  const { url } = await guardedApp({ store, options: { logger: recordingLogger() } });
  return async (apiKey: string, { secret, userAgent, origin, body }: Asked = {}): Promise<string> => {
    const answer = await post(`${url}/v3/${apiKey}`, body ?? call('eth_blockNumber'), {
      ...(secret === undefined ? {} : basic(secret)),
      ...(userAgent === undefined ? {} : { 'User-Agent': userAgent }),
      ...(origin === undefined ? {} : { Origin: origin }),
    });
    const { error } = answer.json as { readonly error?: { readonly data: { readonly reason: string } } };
    return answer.status === 200 && error === undefined ? 'passed' : (error?.data.reason ?? String(answer.status));
  };
}

/** A change through one connection is in force on another within a second. */
async function soon(ask: () => Promise<string>, expected: string): Promise<void> {
  let last = '';
  try {
    await until(async () => (last = await ask()) === expected);
  } catch {
    expect(last).toBe(expected);
  }
}

async function codeOf(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return { resolved: await work() };
  } catch (error) {
    return error instanceof RpcGuardError ? error.code : error;
  }
}

function stopClock(atMs: number): void {
  jest.spyOn(Date, 'now').mockReturnValue(atMs);
}

const inAnHour = () => new Date(Date.now() + HOUR_MS).toISOString();
const misuse = (value: unknown) => value as never;

/** A key with a secret, at its first version. */
async function keyWithSecret(manager: KeyManager): Promise<MadeSecret & { readonly apiKey: string }> {
  const { key, secret, secretId } = await manager.create({ requireSecret: true, secret: { label: 'server' } });
  return { key, secret: secret, secretId: secretId, apiKey: key.apiKey };
}

function recordsOfSecrets(
  count: number,
): { readonly id: string; readonly hash: string; readonly expiresAt?: string }[] {
  return Array.from({ length: count }, (_, n) => {
    const secret = generateSecret();
    secrets.add(secret);
    return { id: `s${String(n)}`, hash: hashSecret(secret) };
  });
}

const idsOf = (key: KeyView) => key.secrets.map(({ id }) => id);

describeEachStore((fresh) => {
  let shelf: Shelf;
  beforeEach(() => {
    shelf = fresh();
  });

  /** A manager and a guard over one store. */
  async function desk(planted: readonly Record<string, unknown>[] = []) {
    if (planted.length > 0) await shelf.plant(planted);
    const store = await shelf.open();
    return { ...managerOf(store), store, ask: await guardOver(store) };
  }

  describe('create', () => {
    test('makes a key of 32 hex digits that serves, and no secret where none is asked for', async () => {
      const { manager, ask } = await desk();
      const made = await manager.create();
      const { apiKey } = made.key;
      expect(made).toEqual({
        key: {
          apiKey: expect.stringMatching(/^[0-9a-f]{32}$/) as unknown,
          name: '',
          enabled: true,
          requireSecret: false,
          overrideAllowlists: false,
          secrets: [],
          allowlists: { contractAddresses: [], userAgents: [], origins: [], methods: [] },
          reportOnly: [],
          version: 1,
          createdAt: expect.stringMatching(/Z$/) as unknown,
          updatedAt: made.key.createdAt,
        },
      });
      await soon(() => ask(apiKey), 'passed');
    });

    test('makes a secret for a key that requires one, shows it this once, and it works', async () => {
      const { manager, ask } = await desk();
      const { key, secret, secretId } = await manager.create({ requireSecret: true, name: 'dapp' });
      expect(secret).toMatch(/^rgs_[0-9A-Za-z]{49}$/);
      expect(key).toMatchObject({ name: 'dapp', requireSecret: true });
      expect(key.secrets).toEqual([
        {
          id: secretId,
          hint: secret.slice(0, 8),
          label: '',
          createdAt: expect.any(String) as unknown,
          state: 'active',
        },
      ]);
      await soon(() => ask(key.apiKey, { secret: secret }), 'passed');
      expect(await ask(key.apiKey)).toBe('SECRET_REQUIRED');
      expect(await ask(key.apiKey, { secret: generateSecret() })).toBe('SECRET_INVALID');
      expect(JSON.stringify([await manager.get(key.apiKey), await manager.list()])).not.toContain(secret);
    });

    test('makes a secret with its label, expiry and own lists where that is asked for', async () => {
      const { manager, ask } = await desk();
      const expiresAt = inAnHour();
      const { key, secret } = await manager.create({
        allowlists: { methods: ['eth_chainId'] },
        secret: { label: 'phone', expiresAt, allowlists: { methods: ['eth_blockNumber'] } },
      });
      expect(key.secrets).toMatchObject([{ label: 'phone', expiresAt, allowlists: { methods: ['eth_blockNumber'] } }]);
      await soon(() => ask(key.apiKey, { secret }), 'passed');
      expect(await ask(key.apiKey)).toBe('METHOD_NOT_ALLOWED');
      stopClock(Date.parse(expiresAt));
      expect(await ask(key.apiKey, { secret })).toBe('SECRET_INVALID');
      expect((await manager.get(key.apiKey))?.secrets).toMatchObject([{ state: 'expired' }]);
    });

    test('takes every setting, and a key brought along', async () => {
      const { manager, ask } = await desk();
      const settings = {
        apiKey: '__proto__',
        name: 'ключ ☃ \'";--\0',
        enabled: false,
        overrideAllowlists: true,
        allowlists: { origins: ['https://a.example'], contractAddresses: [LISTED] },
      };
      expect(await manager.create(settings)).toMatchObject({ key: settings });
      expect(await manager.get('__proto__')).toMatchObject(settings);
      await soon(() => ask('__proto__'), 'KEY_DISABLED');
      expect(await manager.get('constructor')).toBeUndefined();
    });

    test('refuses a key that is taken and leaves that as it is; the message shows no more than its hint', async () => {
      const { manager, events, store } = await desk();
      await manager.create({ apiKey: KEY, name: 'first' });
      const before = await store.get(KEY);
      const error = await manager.create({ apiKey: KEY, requireSecret: true }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'ERR_RPC_GUARD_KEY_EXISTS', message: 'the key 012345… exists already' });
      expect(await store.get(KEY)).toEqual(before);
      expect(events).toHaveLength(1);
    });

    test('of many at once for one key makes one', async () => {
      const managers = await Promise.all([1, 2].map(async () => managerOf(await shelf.open())));
      const outcomes = await Promise.all(
        [0, 1, 2, 3, 4, 5].map((n) =>
          codeOf(() => managers[n % 2]!.manager.create({ apiKey: KEY, requireSecret: true })),
        ),
      );
      expect(outcomes.filter((outcome) => outcome === 'ERR_RPC_GUARD_KEY_EXISTS')).toHaveLength(5);
      expect(managers.flatMap(({ events }) => events)).toHaveLength(1);
    });
  });

  describe('update', () => {
    test('sets which lists only report, and keeps since when each does', async () => {
      const { manager, ask } = await desk();
      const { key } = await manager.create({ allowlists: { methods: ['eth_call'] }, reportOnly: ['methods'] });
      const since = key.reportOnlySince?.methods ?? '';
      expect(Date.parse(since)).toBeGreaterThan(0);
      await soon(() => ask(key.apiKey), 'passed');
      const both = await manager.update(key.apiKey, { reportOnly: ['methods', 'origins'] });
      expect(both.reportOnly).toEqual(['origins', 'methods']);
      expect(both.reportOnlySince).toEqual({ methods: since, origins: expect.any(String) as unknown });
      const one = await manager.update(key.apiKey, { reportOnly: ['origins'] });
      expect(one.reportOnlySince).toEqual({ origins: both.reportOnlySince?.origins });
      await soon(() => ask(key.apiKey), 'METHOD_NOT_ALLOWED');
      expect((await manager.update(key.apiKey, { reportOnly: [] })).reportOnlySince).toBeUndefined();
      await expect(manager.update(key.apiKey, { reportOnly: misuse(['method']) })).rejects.toMatchObject({
        code: 'ERR_RPC_GUARD_SETTINGS',
      });
    });

    test('changes what is given, of the lists those that are given, and keeps the rest', async () => {
      const { manager, ask } = await desk();
      const { apiKey, secret, secretId } = await keyWithSecret(manager);
      await manager.update(apiKey, { allowlists: { userAgents: ['Android'], methods: ['eth_call'] } });
      const changed = await manager.update(apiKey, {
        name: 'renamed',
        overrideAllowlists: true,
        requireSecret: undefined,
        allowlists: { methods: [], origins: ['https://a.example'], contractAddresses: misuse(undefined) },
      });
      expect(changed).toMatchObject({
        name: 'renamed',
        requireSecret: true,
        overrideAllowlists: true,
        secrets: [{ id: secretId, label: 'server' }],
        allowlists: { userAgents: ['Android'], methods: [], origins: ['https://a.example'], contractAddresses: [] },
        version: 3,
      });
      expect(await manager.get(apiKey)).toEqual(changed);
      await soon(() => ask(apiKey, { secret }), 'passed');
      await manager.update(apiKey, { overrideAllowlists: false });
      await soon(() => ask(apiKey, { secret }), 'USER_AGENT_NOT_ALLOWED');
      expect(await ask(apiKey, { secret, userAgent: 'Android' })).toBe('ORIGIN_NOT_ALLOWED');
      expect(await ask(apiKey, { secret, userAgent: 'Android', origin: 'https://a.example' })).toBe('passed');
    });

    test('can require a secret, and stop requiring it', async () => {
      const { manager, ask } = await desk();
      const { key } = await manager.create();
      await soon(() => ask(key.apiKey), 'passed');
      await manager.update(key.apiKey, { requireSecret: true });
      await soon(() => ask(key.apiKey), 'SECRET_REQUIRED');
      await manager.update(key.apiKey, { requireSecret: false });
      await soon(() => ask(key.apiKey), 'passed');
    });
  });

  describe('enable and disable', () => {
    test('a disabled key is refused, with its secret too, until it is enabled again', async () => {
      const { manager, ask } = await desk();
      const { apiKey, secret } = await keyWithSecret(manager);
      await soon(() => ask(apiKey, { secret }), 'passed');
      expect(await manager.disable(apiKey)).toMatchObject({ enabled: false, version: 2 });
      await soon(() => ask(apiKey, { secret }), 'KEY_DISABLED');
      expect(await manager.enable(apiKey)).toMatchObject({ enabled: true, version: 3 });
      await soon(() => ask(apiKey, { secret }), 'passed');
    });
  });

  describe('delete', () => {
    test('leaves a key that never was', async () => {
      const { manager, ask } = await desk();
      const { apiKey, secret } = await keyWithSecret(manager);
      await soon(() => ask(apiKey, { secret }), 'passed');
      await manager.delete(apiKey);
      await soon(() => ask(apiKey, { secret }), 'KEY_UNKNOWN');
      expect(await manager.get(apiKey)).toBeUndefined();
      expect(await manager.list()).toEqual({ keys: [], next: undefined });
      await expect(manager.delete(apiKey)).rejects.toMatchObject(keyUnknown);
      const again = await manager.create({ apiKey });
      expect(again.key).toMatchObject({ secrets: [], version: 1 });
      await soon(() => ask(apiKey), 'passed');
      expect(await ask(apiKey, { secret })).toBe('SECRET_INVALID');
    });
  });

  describe('addSecret', () => {
    test('adds one beside the others, and all of them work', async () => {
      const { manager, ask } = await desk();
      const { apiKey, secret } = await keyWithSecret(manager);
      const expiresAt = inAnHour();
      const added = await manager.addSecret(apiKey, {
        label: 'phone',
        expiresAt,
        allowlists: { userAgents: ['Android'] },
      });
      expect(added.key.secrets).toMatchObject([
        { label: 'server', state: 'active' },
        { id: added.secretId, label: 'phone', expiresAt, hint: added.secret.slice(0, 8), state: 'active' },
      ]);
      expect(added.key.secrets[1]?.allowlists?.userAgents).toEqual(['Android']);
      await soon(() => ask(apiKey, { secret: added.secret, userAgent: 'Android' }), 'passed');
      expect(await ask(apiKey, { secret: added.secret })).toBe('USER_AGENT_NOT_ALLOWED');
      expect(await ask(apiKey, { secret })).toBe('passed');
    });

    test('needs nothing but the key', async () => {
      const { manager } = await desk();
      const { apiKey } = await keyWithSecret(manager);
      const { key } = await manager.addSecret(apiKey);
      expect(key.secrets[1]).toEqual({
        id: expect.stringMatching(/^[0-9a-f]{12}$/) as unknown,
        hint: expect.stringMatching(/^rgs_.{4}$/) as unknown,
        label: '',
        createdAt: expect.any(String) as unknown,
        state: 'active',
      });
    });

    test('a secret is dead at the instant of its expiry', async () => {
      const { manager, ask } = await desk();
      const { apiKey } = await keyWithSecret(manager);
      const expiresAt = inAnHour();
      const { secret } = await manager.addSecret(apiKey, { expiresAt });
      await soon(() => ask(apiKey, { secret }), 'passed');
      stopClock(Date.parse(expiresAt) - 1);
      expect((await manager.get(apiKey))?.secrets[1]?.state).toBe('active');
      expect(await ask(apiKey, { secret })).toBe('passed');
      stopClock(Date.parse(expiresAt));
      expect((await manager.get(apiKey))?.secrets[1]?.state).toBe('expired');
      expect(await ask(apiKey, { secret })).toBe('SECRET_INVALID');
    });

    test('where there are 100 the longest expired makes room, and without an expired one nothing does', async () => {
      const records = recordsOfSecrets(100);
      records[40] = { ...records[40]!, expiresAt: '2002-01-01T00:00:00Z' };
      records[70] = { ...records[70]!, expiresAt: '2001-01-01T00:00:00Z' };
      records[80] = { ...records[80]!, expiresAt: inAnHour() };
      const { manager, store, events } = await desk([{ apiKey: KEY, secrets: records }]);
      const first = await manager.addSecret(KEY);
      expect(idsOf(first.key)).toEqual([...records.filter((_, n) => n !== 70).map(({ id }) => id), first.secretId]);
      const second = await manager.addSecret(KEY);
      const left = records.filter((_, n) => n !== 70 && n !== 40).map(({ id }) => id);
      expect(idsOf(second.key)).toEqual([...left, first.secretId, second.secretId]);
      const before = await store.get(KEY);
      await expect(manager.addSecret(KEY)).rejects.toMatchObject(malformed);
      await expect(manager.rotateSecret(KEY, 's5', { graceMs: 1000 })).rejects.toMatchObject(malformed);
      expect(await store.get(KEY)).toEqual(before);
      expect(events).toHaveLength(2);
      const rotated = await manager.rotateSecret(KEY, 's5', { graceMs: 0 });
      expect(idsOf(rotated.key)).toHaveLength(100);
      expect(idsOf(rotated.key)).not.toContain('s5');
    });

    test('an expired one goes only where there is no room', async () => {
      const [record] = recordsOfSecrets(1);
      const { manager } = await desk([{ apiKey: KEY, secrets: [{ ...record, expiresAt: '2001-01-01T00:00:00Z' }] }]);
      expect((await manager.addSecret(KEY)).key.secrets).toMatchObject([{ state: 'expired' }, { state: 'active' }]);
    });
  });

  describe('updateSecret', () => {
    test('changes the label or the expiry, of one secret alone, which goes on to work', async () => {
      const { manager, ask, events } = await desk();
      const { apiKey, secret, secretId } = await keyWithSecret(manager);
      await manager.addSecret(apiKey, { label: 'other' });
      const expiresAt = inAnHour();
      const [changed, other] = (await manager.updateSecret(apiKey, secretId, { label: 'billing', expiresAt })).secrets;
      expect(changed).toMatchObject({ id: secretId, label: 'billing', expiresAt });
      expect(other).toMatchObject({ label: 'other' });
      expect(events.at(-1)).toMatchObject({ action: 'secret.update', secretId });
      await soon(() => ask(apiKey, { secret }), 'passed');

      const [kept] = (await manager.updateSecret(apiKey, secretId, { expiresAt: null })).secrets;
      expect(kept).toMatchObject({ label: 'billing' });
      expect(kept).not.toHaveProperty('expiresAt');
      expect(await ask(apiKey, { secret })).toBe('passed');
    });

    test('does not bring an expired secret back to life, nor ends one', async () => {
      const { manager, ask } = await desk();
      const { apiKey } = await keyWithSecret(manager);
      const expiresAt = inAnHour();
      const { secret, secretId } = await manager.addSecret(apiKey, { expiresAt });
      const past = new Date(Date.now() - 1).toISOString();
      expect(await codeOf(() => manager.updateSecret(apiKey, secretId, { expiresAt: past }))).toBe(
        'ERR_RPC_GUARD_ARGUMENT',
      );
      stopClock(Date.parse(expiresAt));
      expect(await codeOf(() => manager.updateSecret(apiKey, secretId, { expiresAt: null }))).toBe(
        'ERR_RPC_GUARD_ARGUMENT',
      );
      expect(await ask(apiKey, { secret })).toBe('SECRET_INVALID');
    });
  });

  describe('limits', () => {
    const LIMITS = { perSecond: 5, perAddress: { perSecond: 1 } };

    test('are set as a whole, shown, and removed by null', async () => {
      const { manager } = await desk();
      const made = await manager.create({ limits: LIMITS, secret: { limits: { perDay: 9 } } });
      const { apiKey } = made.key;
      expect(made.key.limits).toEqual(LIMITS);
      expect(made.key.secrets[0]?.limits).toEqual({ perDay: 9 });
      expect((await manager.update(apiKey, { name: 'other' })).limits).toEqual(LIMITS);
      expect((await manager.update(apiKey, { limits: { perDay: 7 } })).limits).toEqual({ perDay: 7 });
      expect(await manager.update(apiKey, { limits: null })).not.toHaveProperty('limits');
      expect(await manager.get(apiKey)).not.toHaveProperty('limits');
      await expect(manager.update(apiKey, { limits: { perDay: 0 } })).rejects.toMatchObject(malformed);
      await expect(manager.update(apiKey, { name: null } as never)).rejects.toMatchObject(malformed);
    });

    test('of a secret can be changed, and go over to the one that takes its place', async () => {
      const { manager } = await desk();
      const { apiKey } = (await manager.create()).key;
      const made = await manager.addSecret(apiKey, { limits: { perSecond: 3 } });
      const [changed] = (await manager.updateSecret(apiKey, made.secretId, { limits: { perSecond: 4 } })).secrets;
      expect(changed?.limits).toEqual({ perSecond: 4 });
      const rotated = await manager.rotateSecret(apiKey, made.secretId, { graceMs: 0 });
      expect(rotated.key.secrets[0]?.limits).toEqual({ perSecond: 4 });
      const [bare] = (await manager.updateSecret(apiKey, rotated.secretId, { limits: null })).secrets;
      expect(bare).not.toHaveProperty('limits');
    });
  });

  describe('rotateSecret', () => {
    test('makes a secret with the label and lists of the old one, which lives for the grace time to its last instant', async () => {
      const { manager, ask } = await desk();
      const {
        key,
        secret: old,
        secretId,
      } = await manager.create({
        requireSecret: true,
        secret: { label: 'server', allowlists: { methods: ['eth_blockNumber'] } },
      });
      const { apiKey } = key;
      const from = Date.now();
      const rotated = await manager.rotateSecret(apiKey, secretId, { graceMs: 60_000 });
      const to = Date.now();
      const [ending, next] = rotated.key.secrets;
      const end = Date.parse(ending?.expiresAt ?? '');
      expect(end).toBeGreaterThanOrEqual(from + 60_000);
      expect(end).toBeLessThanOrEqual(to + 60_000);
      expect(ending).toMatchObject({ id: secretId, label: 'server', state: 'active' });
      expect(next).toMatchObject({ id: rotated.secretId, label: 'server', hint: rotated.secret.slice(0, 8) });
      expect(next?.allowlists).toEqual(ending?.allowlists);
      expect(next).not.toHaveProperty('expiresAt');
      await soon(() => ask(apiKey, { secret: rotated.secret }), 'passed');
      expect(await ask(apiKey, { secret: rotated.secret, body: call('eth_chainId') })).toBe('METHOD_NOT_ALLOWED');
      stopClock(end - 1);
      expect(await ask(apiKey, { secret: old })).toBe('passed');
      stopClock(end);
      expect(await ask(apiKey, { secret: old })).toBe('SECRET_INVALID');
      expect(await ask(apiKey, { secret: rotated.secret })).toBe('passed');
    });

    test('without grace the old one is gone at once, and the others stay', async () => {
      const { manager, ask } = await desk();
      const { apiKey, secret: old, secretId } = await keyWithSecret(manager);
      const other = await manager.addSecret(apiKey);
      const expiresAt = inAnHour();
      const rotated = await manager.rotateSecret(apiKey, secretId, { graceMs: 0, expiresAt });
      expect(idsOf(rotated.key)).toEqual([other.secretId, rotated.secretId]);
      expect(rotated.key.secrets[1]?.expiresAt).toBe(expiresAt);
      await soon(() => ask(apiKey, { secret: old }), 'SECRET_INVALID');
      expect(await ask(apiKey, { secret: rotated.secret })).toBe('passed');
      expect(await ask(apiKey, { secret: other.secret })).toBe('passed');
    });

    test.each([
      ['in an hour', inAnHour],
      ['long ago', () => '2001-01-01T00:00:00Z'],
      ['at the beginning of time', () => '1970-01-01T00:00:00Z'],
      ['before it', () => '1969-01-01T00:00:00Z'],
    ])('no grace reaches past an expiry %s', async (_when, expiry) => {
      const secret = generateSecret();
      secrets.add(secret);
      const expiresAt = expiry();
      const { manager, ask } = await desk([
        { apiKey: KEY, secrets: [{ id: 'old', hash: hashSecret(secret), expiresAt }] },
      ]);
      const rotated = await manager.rotateSecret(KEY, 'old', { graceMs: DAY_MS });
      const [old] = rotated.key.secrets;
      expect(Date.parse(old?.expiresAt ?? '')).toBe(Date.parse(expiresAt));
      await soon(() => ask(KEY, { secret: rotated.secret }), 'passed');
      const isAlive = Date.parse(expiresAt) > Date.now();
      expect(await ask(KEY, { secret })).toBe(isAlive ? 'passed' : 'SECRET_INVALID');
    });

    test('twice in a row leaves each old one its own grace', async () => {
      const { manager, ask } = await desk();
      const { apiKey, secret: first, secretId } = await keyWithSecret(manager);
      const second = await manager.rotateSecret(apiKey, secretId, { graceMs: HOUR_MS });
      const third = await manager.rotateSecret(apiKey, second.secretId, { graceMs: DAY_MS });
      await soon(() => ask(apiKey, { secret: third.secret }), 'passed');
      const asAll = () => Promise.all([first, second.secret, third.secret].map((secret) => ask(apiKey, { secret })));
      expect(await asAll()).toEqual(['passed', 'passed', 'passed']);
      stopClock(Date.now() + 2 * HOUR_MS);
      expect(await asAll()).toEqual(['SECRET_INVALID', 'passed', 'passed']);
      stopClock(Date.now() + 2 * DAY_MS);
      expect(await asAll()).toEqual(['SECRET_INVALID', 'SECRET_INVALID', 'passed']);
    });
  });

  describe('revokeSecret', () => {
    test('the secret is dead at once, the others are not; without any the key refuses everything', async () => {
      const { manager, ask } = await desk();
      const { apiKey, secret, secretId } = await keyWithSecret(manager);
      const other = await manager.addSecret(apiKey);
      await soon(() => ask(apiKey, { secret: other.secret }), 'passed');
      expect(idsOf(await manager.revokeSecret(apiKey, secretId))).toEqual([other.secretId]);
      await soon(() => ask(apiKey, { secret }), 'SECRET_INVALID');
      expect(await ask(apiKey, { secret: other.secret })).toBe('passed');
      await manager.revokeSecret(apiKey, other.secretId);
      await soon(() => ask(apiKey, { secret: other.secret }), 'SECRET_INVALID');
      expect(await ask(apiKey)).toBe('SECRET_REQUIRED');
    });
  });

  describe('addToAllowlist and removeFromAllowlist', () => {
    test('entries are in force as soon as they are added, until they are removed', async () => {
      const { manager, ask } = await desk();
      const { key } = await manager.create();
      const { apiKey } = key;
      const asked: readonly [string, string, Asked, string][] = [
        ['userAgents', 'Android', { userAgent: 'Android 14' }, 'USER_AGENT_NOT_ALLOWED'],
        ['origins', 'https://*.a.example', { origin: 'https://x.a.example' }, 'ORIGIN_NOT_ALLOWED'],
        [
          'contractAddresses',
          LISTED,
          { body: call('eth_getBalance', [LISTED, 'latest']) },
          'CONTRACT_ADDRESS_NOT_ALLOWED',
        ],
        ['methods', 'eth_get*', { body: call('eth_getCode', [LISTED]) }, 'METHOD_NOT_ALLOWED'],
      ];
      for (const [type, entry, right, reason] of asked) {
        const wrong = type === 'contractAddresses' ? { body: call('eth_getBalance', [OTHER, 'latest']) } : {};
        await soon(() => ask(apiKey, wrong), 'passed');
        const added = await manager.addToAllowlist(apiKey, type as 'methods', entry);
        expect(added.allowlists[type as 'methods']).toEqual([entry]);
        await soon(() => ask(apiKey, wrong), reason);
        expect(await ask(apiKey, right)).toBe('passed');
        const removed = await manager.removeFromAllowlist(apiKey, type as 'methods', entry);
        expect(removed.allowlists).toEqual(key.allowlists);
      }
      await soon(() => ask(apiKey), 'passed');
    });

    test('entries keep their order and come once, whatever the case of addresses and origins', async () => {
      const { manager } = await desk();
      const { apiKey } = (await manager.create()).key;
      const upper = `0x${LISTED.slice(2).toUpperCase()}`;
      await manager.addToAllowlist(apiKey, 'contractAddresses', [OTHER, LISTED, upper, OTHER]);
      await manager.addToAllowlist(apiKey, 'contractAddresses', upper);
      await manager.addToAllowlist(apiKey, 'origins', ['https://a.example', 'HTTPS://A.example']);
      await manager.addToAllowlist(apiKey, 'methods', ['eth_call', 'ETH_CALL', 'eth_call']);
      const key = await manager.addToAllowlist(apiKey, 'userAgents', ['Android', 'android']);
      expect(key.allowlists).toEqual({
        contractAddresses: [OTHER, LISTED],
        origins: ['https://a.example'],
        methods: ['eth_call', 'ETH_CALL'],
        userAgents: ['Android', 'android'],
      });
      await manager.removeFromAllowlist(apiKey, 'contractAddresses', upper);
      await manager.removeFromAllowlist(apiKey, 'origins', ['Https://A.Example']);
      await manager.removeFromAllowlist(apiKey, 'methods', 'ETH_CALL');
      const left = await manager.removeFromAllowlist(apiKey, 'userAgents', 'android');
      expect(left.allowlists).toEqual({
        contractAddresses: [OTHER],
        origins: [],
        methods: ['eth_call'],
        userAgents: ['Android'],
      });
    });

    test('all entries are added or none: with a bad one, and over 30 of them', async () => {
      const { manager, store, events } = await desk();
      const { apiKey } = (await manager.create()).key;
      const many = Array.from({ length: 29 }, (_, n) => `eth_${String(n)}`);
      await manager.addToAllowlist(apiKey, 'methods', many);
      const before = await store.get(apiKey);
      const attempts = [
        manager.addToAllowlist(apiKey, 'methods', ['eth_call', 'eth_*_x']),
        manager.addToAllowlist(apiKey, 'methods', ['eth_call', 'eth_chainId']),
        manager.addToAllowlist(apiKey, 'origins', ['https://a.example', 'https://a.example/path']),
        manager.addToAllowlist(apiKey, 'contractAddresses', [LISTED, LISTED.slice(0, 41)]),
        manager.addToAllowlist(apiKey, 'userAgents', ['good', '']),
      ];
      for (const attempt of await Promise.all(attempts.map((each) => codeOf(() => each)))) {
        expect(attempt).toBe(malformed.code);
      }
      const removal = manager.removeFromAllowlist(apiKey, 'methods', ['eth_1', 'eth_nope']);
      await expect(removal).rejects.toMatchObject(wrongArgument);
      expect(await store.get(apiKey)).toEqual(before);
      expect(events).toHaveLength(2);
      expect((await manager.addToAllowlist(apiKey, 'methods', ['eth_1', 'eth_call'])).allowlists.methods).toHaveLength(
        30,
      );
    });
  });

  describe('list', () => {
    const named = (n: number) => `key-${String(n).padStart(5, '0')}`;
    const sort = 'key';

    test('gives keys in their order, page by page, each once, and says where the end is', async () => {
      const all = Array.from({ length: 1203 }, (_, n) => named(n));
      await shelf.plant(all.map((apiKey) => ({ apiKey })).reverse());
      const { manager } = managerOf(await shelf.open());
      for (const limit of [1000, 500, 499, 401, 400]) {
        const pages: string[][] = [];
        let after: string | undefined;
        do {
          const page = await manager.list({ limit, after, sort });
          pages.push(page.keys.map(({ apiKey }) => apiKey));
          after = page.next;
        } while (after !== undefined);
        expect(pages.flat()).toEqual(all);
        expect(pages.map((page) => page.length)).toEqual(
          Array.from({ length: Math.ceil(1203 / limit) }, (_, n) => Math.min(limit, 1203 - n * limit)),
        );
      }
      expect((await manager.list()).keys).toHaveLength(100);
      expect(await manager.list({ sort, after: named(1202) })).toEqual({ keys: [], next: undefined });
      expect((await manager.list({ sort, after: named(1201) })).keys).toMatchObject([{ apiKey: named(1202) }]);
    });

    test('has no next page where the last one is full, of 1, 2, 500 and 1000 keys', async () => {
      await shelf.plant(Array.from({ length: 1000 }, (_, n) => ({ apiKey: named(n) })));
      const { manager } = managerOf(await shelf.open());
      expect((await manager.list({ sort, limit: 1000 })).next).toBeUndefined();
      expect((await manager.list({ sort, limit: 999 })).next).toBe(named(998));
      for (const limit of [1, 2, 500]) {
        expect((await manager.list({ sort, limit, after: named(999 - limit) })).next).toBeUndefined();
        expect((await manager.list({ sort, limit, after: named(998 - limit) })).next).toBe(named(998));
      }
    });

    test('finds keys by the beginning of the key, by a part of the name in any case, and by state', async () => {
      const prefix = 'a'.repeat(60);
      await shelf.plant([
        { apiKey: `${prefix}-1`, name: 'Shop (live)' },
        { apiKey: `${prefix}-2`, name: 'shop (test)', enabled: false },
        { apiKey: `${prefix}-20`, name: 'ÄRZTE' },
        { apiKey: `B${prefix}`, name: `${prefix}-2` },
        { apiKey: 'c_c_c_c_c', name: '100%' },
      ]);
      const { manager } = managerOf(await shelf.open());
      const find = async (options: Parameters<KeyManager['list']>[0]) =>
        (await manager.list({ sort, ...options })).keys.map(({ apiKey }) => apiKey.replace(prefix, 'P'));
      expect(await find({ search: prefix })).toEqual(['BP', 'P-1', 'P-2', 'P-20']);
      expect(await find({ search: `${prefix}-2` })).toEqual(['BP', 'P-2', 'P-20']);
      expect(await find({ search: prefix.toUpperCase() })).toEqual(['BP']);
      expect(await find({ search: ' SHOP ' })).toEqual(['P-1', 'P-2']);
      expect(await find({ search: 'ärzte' })).toEqual(['P-20']);
      expect(await find({ search: '%' })).toEqual(['c_c_c_c_c']);
      for (const search of ['.*', `${prefix}-3`, '-2-', 'c_c_c_', '_c_']) {
        expect(await find({ search })).toEqual(search === 'c_c_c_' ? ['c_c_c_c_c'] : []);
      }
      expect(await find({ search: '' })).toHaveLength(5);
      expect(await find({ state: 'disabled' })).toEqual(['P-2']);
      expect(await find({ state: 'enabled' })).toEqual(['BP', 'P-1', 'P-20', 'c_c_c_c_c']);
      expect(await find({ state: 'enabled', search: 'shop' })).toEqual(['P-1']);
      expect(await find({ search: prefix, limit: 2 })).toEqual(['BP', 'P-1']);
      const first = await manager.list({ sort, search: prefix, limit: 2 });
      expect(first.next).toBe(`${prefix}-1`);
      expect(await find({ search: prefix, limit: 2, after: first.next })).toEqual(['P-2', 'P-20']);
      expect((await manager.list({ sort, search: prefix, limit: 4 })).next).toBeUndefined();
    });

    test('sorts by name, then by creation, unless asked otherwise', async () => {
      const created = (day: number) => ({ createdAt: `2026-01-0${String(day)}T00:00:00Z` });
      await shelf.plant([
        { apiKey: 'key-00001', name: 'shop', ...created(2) },
        { apiKey: 'key-00002', name: 'Shop', ...created(1) },
        { apiKey: 'key-00003', name: 'Agent', ...created(3) },
        { apiKey: 'key-00004', name: 'shop\nwindow', ...created(1) },
      ]);
      const { manager } = managerOf(await shelf.open());
      const orderOf = async (options: Parameters<KeyManager['list']>[0]) => {
        let order = '';
        for (let after: string | undefined; order.length < 4;) {
          const { keys, next } = await manager.list({ ...options, after, limit: 1 });
          order += keys[0]?.apiKey.at(-1) ?? '-';
          after = next;
        }
        return order;
      };
      expect(await orderOf({})).toBe('3214');
      expect(await orderOf({ descending: true })).toBe('4123');
      expect(await orderOf({ sort: 'created' })).toBe('2413');
    });

    test('leaves broken records out and goes on behind them', async () => {
      if (!shelf.holdsBrokenRecords) return;
      const broken = Array.from({ length: 20 }, (_, n) => ({ apiKey: named(n), oops: true }));
      await shelf.plant([
        ...broken,
        { apiKey: named(20) },
        { apiKey: named(21), enabled: 'yes' },
        { apiKey: named(22) },
      ]);
      const { manager } = managerOf(await shelf.open());
      expect(await manager.list({ sort, limit: 1 })).toMatchObject({ keys: [{ apiKey: named(20) }], next: named(20) });
      expect(await manager.list({ sort, limit: 2 })).toMatchObject({
        keys: [{}, { apiKey: named(22) }],
        next: undefined,
      });
    });
  });

  describe('versions', () => {
    test('a change meant for another version is refused, whichever change it is, and nothing is written or announced', async () => {
      const { manager, store, events } = await desk();
      const { apiKey, secretId } = await keyWithSecret(manager);
      await manager.update(apiKey, { name: 'second', allowlists: { methods: ['eth_call'] } });
      const before = await store.get(apiKey);
      for (const expectedVersion of [1, 3, 0, -1, 2.5]) {
        const options = { expectedVersion };
        const attempts = [
          manager.update(apiKey, { name: 'stale' }, options),
          manager.enable(apiKey, options),
          manager.disable(apiKey, options),
          manager.addSecret(apiKey, {}, options),
          manager.rotateSecret(apiKey, secretId, { graceMs: 0 }, options),
          manager.updateSecret(apiKey, secretId, { label: 'stale' }, options),
          manager.revokeSecret(apiKey, secretId, options),
          manager.addToAllowlist(apiKey, 'methods', 'eth_chainId', options),
          manager.removeFromAllowlist(apiKey, 'methods', 'eth_call', options),
          manager.delete(apiKey, options),
        ];
        for (const attempt of attempts) await expect(attempt).rejects.toMatchObject(stale);
      }
      expect(await store.get(apiKey)).toEqual(before);
      expect(events).toHaveLength(2);
      expect(await manager.update(apiKey, { name: 'third' }, { expectedVersion: 2 })).toMatchObject({ version: 3 });
      await manager.delete(apiKey, { expectedVersion: 3 });
    });

    test('of many changes meant for one version one is made', async () => {
      const { manager } = managerOf(await shelf.open());
      const { apiKey } = (await manager.create()).key;
      const outcomes = await Promise.all(
        Array.from({ length: 8 }, (_, n) =>
          codeOf(() => manager.update(apiKey, { name: String(n) }, { expectedVersion: 1 })),
        ),
      );
      expect(outcomes.filter((outcome) => outcome === stale.code)).toHaveLength(7);
      expect(await manager.get(apiKey)).toMatchObject({ version: 2 });
    });

    test('two managers on two connections lose nothing of many changes at once', async () => {
      const { apiKey } = (await managerOf(await shelf.open()).manager.create()).key;
      const managers = [managerOf(await shelf.open()), managerOf(await shelf.open())];
      const made = await Promise.all(
        managers.flatMap(({ manager }, m) =>
          Array.from({ length: 5 }, async (_, n) => {
            const label = `${String(m)}-${String(n)}`;
            const [{ secretId }] = await Promise.all([
              manager.addSecret(apiKey, { label }),
              manager.addToAllowlist(apiKey, 'userAgents', label),
            ]);
            return { secretId, label };
          }),
        ),
      );
      const key = await managerOf(await shelf.open()).manager.get(apiKey);
      const byId = new Map(key?.secrets.map(({ id, label }) => [id, label]));
      expect(byId).toEqual(new Map(made.map(({ secretId, label }) => [secretId, label])));
      expect([...(key?.allowlists.userAgents ?? [])].sort()).toEqual(made.map(({ label }) => label).sort());
      expect(key?.version).toBe(21);

      // The events of both, put in order, are the whole history: each begins where the one before it ended.
      const history = managers
        .flatMap(({ events }) => events)
        .sort((a, b) => (a.after?.version ?? 0) - (b.after?.version ?? 0));
      expect(history.map(({ before }) => before?.version)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
      for (const [n, event] of history.slice(1).entries()) expect(event.before).toEqual(history[n]?.after);
      expect(history.at(-1)?.after).toEqual(key);
    });

    test('a change is in force within a second for a guard on another connection', async () => {
      const { manager } = managerOf(await shelf.open());
      const ask = await guardOver(await shelf.open());
      const { apiKey, secret, secretId } = await keyWithSecret(manager);
      const inForce = async (expected: string, change: () => Promise<unknown>) => {
        await change();
        expect(await until(async () => (await ask(apiKey, { secret })) === expected)).toBeLessThan(1000);
      };
      await until(async () => (await ask(apiKey, { secret })) === 'passed');
      await inForce('KEY_DISABLED', () => manager.disable(apiKey));
      await inForce('passed', () => manager.enable(apiKey));
      await inForce('METHOD_NOT_ALLOWED', () => manager.addToAllowlist(apiKey, 'methods', 'eth_call'));
      await inForce('SECRET_INVALID', () => manager.revokeSecret(apiKey, secretId));
      await inForce('KEY_UNKNOWN', () => manager.delete(apiKey));
    });

    test('two managers that take turns at one key do not stand in each other’s way', async () => {
      const [one, two] = [managerOf(await shelf.open()).manager, managerOf(await shelf.open()).manager];
      const { apiKey } = (await one.create({ name: '0' })).key;
      await until(async () => (await two.get(apiKey)) !== undefined);
      for (let n = 1; n <= 10; n++) {
        const changed = await (n % 2 === 0 ? one : two).addToAllowlist(apiKey, 'methods', `eth_${String(n)}`);
        expect(changed).toMatchObject({ version: n + 1 });
      }
    });

    test('a rotation and a revocation at once both hold, in whichever order', async () => {
      const [one, two] = [managerOf(await shelf.open()).manager, managerOf(await shelf.open()).manager];
      const { apiKey, secretId } = await keyWithSecret(one);
      await until(async () => (await two.get(apiKey)) !== undefined);
      const [rotated] = await Promise.allSettled([
        one.rotateSecret(apiKey, secretId, { graceMs: HOUR_MS }),
        two.revokeSecret(apiKey, secretId),
      ]);
      await until(async () => !idsOf((await one.get(apiKey))!).includes(secretId));
      if (rotated.status === 'rejected') expect(rotated.reason).toMatchObject(secretUnknown);
      else expect(idsOf((await one.get(apiKey))!)).toEqual([rotated.value.secretId]);
    });

    test('a key that is changed while it is deleted is deleted as it is then, unless another version was meant', async () => {
      const store = await shelf.open();
      const { manager, events } = managerOf(store);
      const { apiKey } = (await manager.create()).key;
      const remove = store.delete.bind(store);
      const changedBefore = (name: string) => async (key: string, version?: number) => {
        const current = await store.get(key);
        if (current?.name !== name) await store.set({ ...current!, name });
        return remove(key, version);
      };
      jest.spyOn(store, 'delete').mockImplementation(changedBefore('second'));
      await expect(manager.delete(apiKey, { expectedVersion: 1 })).rejects.toMatchObject(stale);
      expect(await store.get(apiKey)).toMatchObject({ name: 'second', version: 2 });
      jest.spyOn(store, 'delete').mockImplementation(changedBefore('third'));
      await manager.delete(apiKey);
      expect(events.at(-1)).toMatchObject({ action: 'key.delete', before: { name: 'third', version: 3 } });
      expect(await store.get(apiKey)).toBeUndefined();
    });

    test('a key that is deleted while it is changed stays deleted', async () => {
      const store = await shelf.open();
      const { manager, events } = managerOf(store);
      const { apiKey, secretId } = await keyWithSecret(manager);
      const set = store.set.bind(store);
      jest.spyOn(store, 'set').mockImplementation(async (...args) => {
        await store.delete(apiKey);
        return set(...args);
      });
      await expect(manager.rotateSecret(apiKey, secretId, { graceMs: 0 })).rejects.toMatchObject(keyUnknown);
      expect(await store.get(apiKey)).toBeUndefined();
      await expect(manager.update(apiKey, {}, { expectedVersion: 1 })).rejects.toMatchObject(keyUnknown);
      expect(events.map(({ action }) => action)).toEqual(['key.create']);
    });
  });

  describe('onAudit', () => {
    test('is called for each change: who, what, on which key and secret, before and after, when', async () => {
      const { manager, events } = await desk();
      const from = Date.now();
      const { apiKey, secretId } = await keyWithSecret(manager);
      const bob = { actor: 'bob' };
      await manager.update(apiKey, { name: 'dapp' }, bob);
      await manager.disable(apiKey);
      await manager.enable(apiKey, bob);
      const added = await manager.addSecret(apiKey, {}, bob);
      const rotated = await manager.rotateSecret(apiKey, secretId, { graceMs: 1000 }, bob);
      await manager.revokeSecret(apiKey, added.secretId);
      await manager.addToAllowlist(apiKey, 'methods', 'eth_call', bob);
      await manager.removeFromAllowlist(apiKey, 'methods', 'eth_call');
      await manager.delete(apiKey, bob);
      expect(events.map(({ actor, action, secretId: id }) => [actor, action, id])).toEqual([
        ['ada', 'key.create', secretId],
        ['bob', 'key.update', undefined],
        ['ada', 'key.disable', undefined],
        ['bob', 'key.enable', undefined],
        ['bob', 'secret.add', added.secretId],
        ['bob', 'secret.rotate', secretId],
        ['ada', 'secret.revoke', added.secretId],
        ['bob', 'allowlist.add', undefined],
        ['ada', 'allowlist.remove', undefined],
        ['bob', 'key.delete', undefined],
      ]);
      for (const [n, event] of events.entries()) {
        expect(event).toMatchObject({ apiKey, keyHint: `${apiKey.slice(0, 6)}…` });
        expect(Date.parse(event.at)).toBeGreaterThanOrEqual(from);
        expect(Date.parse(event.at)).toBeLessThanOrEqual(Date.now());
        expect(event.at).toMatch(/Z$/);
        expect(event.before).toEqual(events[n - 1]?.after);
        expect(event.after?.version).toBe(n === 9 ? undefined : n + 1);
      }
      expect(idsOf(events[5]!.after!)).toContain(rotated.secretId);
    });

    test('is not called for changes that failed, nor for reads', async () => {
      const { manager, events } = await desk();
      const { apiKey } = (await manager.create()).key;
      await manager.get(apiKey);
      await manager.list({ search: 'x' });
      await expect(manager.update(OTHER_KEY, { name: 'x' })).rejects.toMatchObject(keyUnknown);
      await expect(manager.revokeSecret(apiKey, 'nope')).rejects.toMatchObject(secretUnknown);
      await expect(manager.removeFromAllowlist(apiKey, 'methods', 'eth_call')).rejects.toMatchObject(wrongArgument);
      expect(events).toHaveLength(1);
    });
  });

  describe('an unknown key or secret', () => {
    test('is named by its hint, and nothing comes into being', async () => {
      const { manager, store } = await desk();
      const message = 'there is no key fedcba…';
      const attempts = [
        manager.update(OTHER_KEY, { name: 'x' }),
        manager.enable(OTHER_KEY),
        manager.disable(OTHER_KEY),
        manager.addSecret(OTHER_KEY),
        manager.rotateSecret(OTHER_KEY, 'x', { graceMs: 0 }),
        manager.revokeSecret(OTHER_KEY, 'x'),
        manager.addToAllowlist(OTHER_KEY, 'methods', 'eth_call'),
        manager.removeFromAllowlist(OTHER_KEY, 'methods', 'eth_call'),
        manager.delete(OTHER_KEY),
      ];
      for (const attempt of attempts) await expect(attempt).rejects.toMatchObject({ ...keyUnknown, message });
      expect(await manager.get(OTHER_KEY)).toBeUndefined();
      expect(await store.list()).toEqual([]);
    });

    test('an unknown secret leaves the others', async () => {
      const { manager, store } = await desk();
      const { apiKey } = await keyWithSecret(manager);
      const before = await store.get(apiKey);
      for (const id of ['', 'nope', '__proto__', '0', 'constructor', misuse(undefined), misuse(null), misuse(0)]) {
        await expect(manager.revokeSecret(apiKey, id)).rejects.toMatchObject(secretUnknown);
        await expect(manager.rotateSecret(apiKey, id, { graceMs: 0 })).rejects.toMatchObject(secretUnknown);
      }
      expect(await store.get(apiKey)).toEqual(before);
    });
  });

  test('hostile input is refused with a code, and writes and announces nothing', async () => {
    const { manager, store, events } = await desk();
    const { apiKey, secretId } = await keyWithSecret(manager);
    const before = await store.get(apiKey);
    const own = (json: string) => misuse(JSON.parse(json));
    const entries = Array.from({ length: 31 }, (_, n) => `eth_${String(n)}`);
    const wrong: readonly unknown[] = [null, 7, 'text', true, [], ['x'], () => undefined];

    const creations: Record<string, unknown> = {
      'an unknown member': { requiresecret: true },
      'a version': { version: 7 },
      secrets: { secrets: [] },
      'its own __proto__': own('{"__proto__":{"requireSecret":true}}'),
      'a constructor': own('{"constructor":{}}'),
      'a list of no type': { allowlists: { ips: ['1.1.1.1'] } },
      'a list named __proto__': { allowlists: own('{"__proto__":["x"]}') as unknown },
      '31 entries': { allowlists: { methods: entries } },
      'a bad entry': { allowlists: { origins: ['https://a.example/'] } },
      'an entry that is no string': { allowlists: { methods: [7] } },
      'a list that is none': { allowlists: { methods: 'eth_call' } },
      'a list that is null': { allowlists: { methods: null } },
      'a long name': { name: 'x'.repeat(201) },
    };
    for (const value of wrong) creations[`the whole ${inspect(value)}`] = value;
    for (const value of [null, 7, [], {}]) creations[`name ${inspect(value)}`] = { name: value };
    for (const name of ['enabled', 'requireSecret', 'overrideAllowlists']) {
      for (const value of ['true', 1, null, {}]) creations[`${name} ${inspect(value)}`] = { [name]: value };
    }
    for (const value of [null, 7, 'text', true, ['x']])
      creations[`allowlists ${inspect(value)}`] = { allowlists: value };
    const keys = ['', 'short12', 'a'.repeat(129), `${KEY}/x`, `${KEY}\n`, '%61bcdefg', 'ключключ'];
    for (const value of [...keys, null, 7, {}, []]) creations[`apiKey ${inspect(value)}`] = { apiKey: value };

    const secretOptions: Record<string, unknown> = {
      'a hash': { hash: '0'.repeat(64) },
      'an id': { id: 'x' },
      'its own __proto__': own('{"__proto__":{}}'),
      'a long label': { label: 'x'.repeat(101) },
      '31 entries': { allowlists: { methods: entries } },
      'a bad entry': { allowlists: { contractAddresses: ['0x1'] } },
      'a list of no type': { allowlists: { ips: [] } },
    };
    for (const value of wrong) secretOptions[`the whole ${inspect(value)}`] = value;
    for (const value of [null, 7, [], {}]) secretOptions[`label ${inspect(value)}`] = { label: value };
    for (const value of [null, 7, 'x', [['x']]]) secretOptions[`allowlists ${inspect(value)}`] = { allowlists: value };
    const past = new Date(Date.now() - 1).toISOString();
    const times = [
      past,
      '2001-01-01',
      'garbage',
      '',
      '1',
      '2999-01-01',
      '2999-01-01T00:00:00+01:00',
      '2999-02-30T00:00:00Z',
    ];
    const noTimes = [
      null,
      0,
      7,
      NaN,
      Date.now() + HOUR_MS,
      new Date(0),
      new Date(Date.now() + HOUR_MS),
      {},
      ['x'],
      true,
    ];
    for (const value of [...times, ...noTimes]) secretOptions[`expiresAt ${inspect(value)}`] = { expiresAt: value };

    const graces = [undefined, null, -1, NaN, 0.5, Infinity, 366 * DAY_MS, 2 ** 53, '1000', 1000n, {}, []];
    const rotations: Record<string, unknown> = {
      nothing: undefined,
      'an unknown member': { graceMs: 0, label: 'x' },
      'its own __proto__': own('{"graceMs":0,"__proto__":{}}'),
    };
    for (const value of wrong) rotations[`the whole ${inspect(value)}`] = value;
    for (const value of graces) rotations[`graceMs ${inspect(value)}`] = { graceMs: value };
    for (const value of [...times, ...noTimes])
      rotations[`expiresAt ${inspect(value)}`] = { graceMs: 0, expiresAt: value };

    const listTypes = ['', 'Methods', '__proto__', 'constructor', 'toString', undefined, null, 7, {}, ['methods']];
    const entryLists = [undefined, null, 7, [], {}, [7], [null], [['eth_call']], ['eth_call', undefined], '', 'a b'];

    const outcomes: Record<string, unknown> = {};
    async function attempt(name: string, work: () => Promise<unknown>): Promise<void> {
      const outcome = await codeOf(work);
      if (outcome !== malformed.code && outcome !== wrongArgument.code) outcomes[name] = outcome;
    }
    for (const [name, value] of Object.entries(creations)) {
      await attempt(`create with ${name}`, () => manager.create(misuse(value)));
      if (name.startsWith('apiKey')) continue;
      await attempt(`update with ${name}`, () => manager.update(apiKey, misuse(value)));
    }
    for (const name of ['apiKey', 'secret', 'secrets', 'version', 'createdAt']) {
      await attempt(`update with ${name}`, () => manager.update(apiKey, misuse({ [name]: before?.version })));
    }
    for (const [name, value] of Object.entries(secretOptions)) {
      if (!name.endsWith('null'))
        await attempt(`create, secret with ${name}`, () => manager.create(misuse({ secret: value })));
      await attempt(`addSecret with ${name}`, () => manager.addSecret(apiKey, misuse(value)));
    }
    for (const [name, value] of Object.entries(rotations)) {
      await attempt(`rotateSecret with ${name}`, () => manager.rotateSecret(apiKey, secretId, misuse(value)));
    }
    for (const type of listTypes) {
      await attempt(`add to ${inspect(type)}`, () => manager.addToAllowlist(apiKey, misuse(type), 'eth_call'));
      await attempt(`remove from ${inspect(type)}`, () =>
        manager.removeFromAllowlist(apiKey, misuse(type), 'eth_call'),
      );
    }
    for (const list of entryLists) {
      await attempt(`add ${inspect(list)}`, () => manager.addToAllowlist(apiKey, 'methods', misuse(list)));
      await attempt(`remove ${inspect(list)}`, () => manager.removeFromAllowlist(apiKey, 'methods', misuse(list)));
    }
    for (const limit of [0, -1, 1.5, NaN, Infinity, 1001, '10', null, {}]) {
      await attempt(`list, limit ${inspect(limit)}`, () => manager.list({ limit: misuse(limit) }));
    }
    for (const value of [null, 7, {}, ['x'], true]) {
      await attempt(`list, search ${inspect(value)}`, () => manager.list({ search: misuse(value) }));
      await attempt(`list, after ${inspect(value)}`, () => manager.list({ after: misuse(value) }));
      await attempt(`list, state ${inspect(value)}`, () => manager.list({ state: misuse(value) }));
    }
    for (const state of ['', 'Enabled', 'all']) {
      await attempt(`list, state ${state}`, () => manager.list({ state: misuse(state) }));
    }
    expect(outcomes).toEqual({});
    expect(await store.get(apiKey)).toEqual(before);
    expect(await store.list()).toHaveLength(1);
    expect(events).toHaveLength(1);
  });

  test('a key that is not a string is unknown', async () => {
    const { manager } = await desk();
    await manager.create({ apiKey: KEY });
    for (const value of [undefined, null, 7, {}, [], [KEY]]) {
      const apiKey = misuse(value);
      await expect(manager.update(apiKey, {})).rejects.toMatchObject(keyUnknown);
      await expect(manager.delete(apiKey)).rejects.toMatchObject(keyUnknown);
    }
  });

  describe('a store that is down', () => {
    test('rejects every change, leaves all as it was, and the manager works when it is back', async () => {
      const store = await shelf.open();
      const { manager, events } = managerOf(store);
      const { apiKey, secretId } = await keyWithSecret(manager);
      await manager.addToAllowlist(apiKey, 'methods', 'eth_call');
      const before = await store.get(apiKey);
      const repair = await shelf.breakDown();
      const attempts = [
        () => manager.create({ apiKey: KEY, requireSecret: true }),
        () => manager.update(apiKey, { name: 'x' }),
        () => manager.disable(apiKey),
        () => manager.addSecret(apiKey),
        () => manager.rotateSecret(apiKey, secretId, { graceMs: 0 }),
        () => manager.revokeSecret(apiKey, secretId),
        () => manager.addToAllowlist(apiKey, 'methods', 'eth_chainId'),
        () => manager.removeFromAllowlist(apiKey, 'methods', 'eth_call'),
        () => manager.delete(apiKey),
      ];
      for (const attempt of attempts) {
        const outcome = await attempt().then(
          () => 'resolved',
          (error: unknown) => error,
        );
        expect(types.isNativeError(outcome)).toBe(true);
        expect((outcome as Error).message).not.toBe('');
      }
      await repair();
      await until(async () => (await codeOf(() => manager.get(apiKey))) !== undefined && (await isBack(store, apiKey)));
      expect(await store.get(apiKey)).toEqual(before);
      expect(await store.get(KEY)).toBeUndefined();
      expect(events).toHaveLength(2);
      expect(await manager.disable(apiKey)).toMatchObject({ enabled: false, version: 3 });
    });

    async function isBack(store: WritableSettingsStore, apiKey: string): Promise<boolean> {
      return store.get(apiKey).then(
        (settings) => settings !== undefined,
        () => false,
      );
    }
  });

  describe('a stored record that is broken', () => {
    test('is reported as such by every method, and other keys are unaffected', async () => {
      if (!shelf.holdsBrokenRecords) return;
      const secretRecords = recordsOfSecrets(1);
      await shelf.plant([
        { apiKey: KEY, requireSecret: true, secrets: secretRecords, allowlists: { methods: ['a b'] } },
        { apiKey: OTHER_KEY, name: 'whole' },
      ]);
      const { manager, events } = managerOf(await shelf.open());
      const attempts = [
        manager.get(KEY),
        manager.update(KEY, { name: 'x', allowlists: { methods: [] } }),
        manager.enable(KEY),
        manager.addSecret(KEY),
        manager.revokeSecret(KEY, 'secret-1'),
        manager.create({ apiKey: KEY }),
      ];
      const message = expect.stringMatching(/^allowlists\.methods\.0: "a b" is neither/) as unknown;
      for (const attempt of attempts) await expect(attempt).rejects.toMatchObject({ ...malformed, message });
      expect(events).toEqual([]);
      expect(await manager.update(OTHER_KEY, { name: 'changed' })).toMatchObject({ name: 'changed' });
      await expect(manager.get(KEY)).rejects.toMatchObject(malformed);
    });

    test('can be deleted, and created again', async () => {
      if (!shelf.holdsBrokenRecords) return;
      await shelf.plant([{ apiKey: KEY, allowlists: { methods: ['a b'] } }]);
      const { manager, events } = managerOf(await shelf.open());
      await manager.delete(KEY);
      expect(events).toMatchObject([{ action: 'key.delete', apiKey: KEY }]);
      expect([events[0]?.before, events[0]?.after]).toEqual([undefined, undefined]);
      expect(await manager.get(KEY)).toBeUndefined();
      await manager.create({ apiKey: KEY });
    });
  });
});

describe('a listener that', () => {
  const KEPT = 'the change stands';

  test.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error(`no room for ${KEY}`);
      },
    ],
    ['rejects', () => Promise.reject(new Error(`no room for ${KEY}`))],
    [
      'throws what is no error',
      () => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- a listener may throw anything
        throw { secret: 'x' };
      },
    ],
    ['returns a value', () => 7],
  ])('%s changes nothing of the change, and is logged without the key if it fails', async (how, onAudit) => {
    const { manager, logger } = managerOf(new MemoryStore(), { onAudit });
    const { key, secret } = await manager.create({ apiKey: KEY, requireSecret: true, name: KEPT });
    expect(key.name).toBe(KEPT);
    expect(secret).toMatch(/^rgs_/);
    expect(await manager.disable(KEY)).toMatchObject({ enabled: false });
    await manager.delete(KEY);
    const failures = how === 'returns a value' ? 0 : 3;
    expect(logger.lines.map(({ level }) => level)).toEqual(Array.from({ length: failures }, () => 'error'));
    for (const { text } of logger.lines) {
      expect(text).toMatch(/^onAudit failed .*"key":"012345…","action":"key\./);
      expect(text).not.toContain(KEY);
    }
  });

  test('is slow is waited for, after the change is in the store', async () => {
    const store = new MemoryStore();
    const steps: string[] = [];
    let release = (): void => undefined;
    const onAudit = async () => {
      steps.push(`told of version ${String((await store.get(KEY))?.version)}`);
      await new Promise<void>((resolve) => (release = resolve));
      steps.push('has written it down');
    };
    const { manager } = managerOf(store, { onAudit });
    const creation = manager.create({ apiKey: KEY }).then(() => steps.push('resolved'));
    await until(() => steps.length === 1);
    release();
    await creation;
    expect(steps).toEqual(['told of version 1', 'has written it down', 'resolved']);
  });

  test('changes its event changes neither what the caller gets nor what is stored', async () => {
    const store = new MemoryStore();
    const { manager } = managerOf(store, {
      onAudit(event) {
        Object.assign(event.after ?? {}, { enabled: false, name: 'mine' });
        (event.after?.secrets as unknown[]).length = 0;
        expect(() => (event.after?.allowlists.methods as string[]).push('*')).toThrow(TypeError);
      },
    });
    const { key } = await manager.create({ apiKey: KEY, requireSecret: true, allowlists: { methods: ['eth_call'] } });
    expect(key).toMatchObject({ enabled: true, name: '', secrets: [{ state: 'active' }] });
    expect(await store.get(KEY)).toMatchObject({ enabled: true, name: '', allowlists: { methods: ['eth_call'] } });
  });

  test('is missing does no harm, and an unknown actor is called unknown', async () => {
    const events: AuditEvent[] = [];
    const store = new MemoryStore();
    await new KeyManager(store).create({ apiKey: KEY });
    await new KeyManager(store, { onAudit: (event) => events.push(event) }).disable(KEY);
    expect(events).toMatchObject([{ actor: 'unknown', action: 'key.disable' }]);
  });

  test('fails along with the logger does no harm', async () => {
    const fail = (): never => {
      throw new Error('no');
    };
    const logger = { info: fail, warn: fail, error: fail };
    const manager = new KeyManager(new MemoryStore(), { onAudit: fail, logger });
    expect((await manager.create({ apiKey: KEY })).key.apiKey).toBe(KEY);
  });
});

describe('a store that', () => {
  test('needs to be initialised is, once, before the first use, by whatever that is', async () => {
    for (const use of [
      (manager: KeyManager) => manager.create(),
      (manager: KeyManager) => manager.get(KEY),
      (manager: KeyManager) => manager.list(),
      (manager: KeyManager) => manager.disable(KEY).catch(() => undefined),
    ]) {
      const steps: string[] = [];
      class Watched extends MemoryStore {
        async init(): Promise<void> {
          await Promise.resolve();
          steps.push('init');
        }
        override get(apiKey: string): Promise<KeySettings | undefined> {
          steps.push('get');
          return super.get(apiKey);
        }
      }
      const { manager } = managerOf(new Watched());
      await Promise.all([use(manager), use(manager), use(manager)]);
      await use(manager);
      expect(steps[0] ?? 'init').toBe('init');
      expect(steps.filter((step) => step === 'init')).toHaveLength(1);
    }
  });

  test.each([
    ['rejects', () => Promise.reject(new Error('not yet'))],
    [
      'throws',
      () => {
        throw new Error('not yet');
      },
    ],
  ])('%s in its init is asked again by the next use', async (_how, fail) => {
    let attempts = 0;
    class Late extends MemoryStore {
      init(): Promise<void> | void {
        attempts++;
        if (attempts === 1) return fail();
      }
    }
    const { manager, events } = managerOf(new Late());
    const first = await Promise.allSettled([manager.create({ apiKey: KEY }), manager.get(KEY)]);
    expect(first[0]).toMatchObject({
      status: 'rejected',
      reason: { code: 'ERR_RPC_GUARD_STORE', message: 'the settings store failed: Error: not yet' },
    });
    await manager.create({ apiKey: KEY });
    expect(events).toHaveLength(1);
  });

  test('cannot be written is refused when the manager is made', () => {
    const work = () => undefined;
    const stores: readonly unknown[] = [
      undefined,
      null,
      {},
      'redis://',
      { get: work },
      { get: work, set: work, list: work },
      { get: work, set: work, list: work, delete: true },
    ];
    for (const store of stores) {
      expect(thrownBy(() => new KeyManager(store as WritableSettingsStore))).toMatchObject({
        code: 'ERR_RPC_GUARD_OPTIONS',
        message: expect.stringMatching(/^ {2}store: .*it takes a store with get, set, delete and list/m) as string,
      });
    }
  });

  test('is always ahead ends the attempts instead of trying for ever', async () => {
    const store = new MemoryStore([{ apiKey: KEY }]);
    const { manager, events } = managerOf(store);
    const set = store.set.bind(store);
    jest.spyOn(store, 'set').mockImplementation(async (settings: KeySettingsInput, version) => {
      await set({ apiKey: KEY, name: 'ahead' }, undefined);
      return set(settings, version);
    });
    await expect(manager.update(KEY, { name: 'behind' })).rejects.toMatchObject(stale);
    expect(await store.get(KEY)).toMatchObject({ name: 'ahead' });
    expect(events).toEqual([]);
  });
});

test('a search through very many keys asks the store once', async () => {
  const shelf = memoryShelf();
  const name = (n: number) => `key-${String(n).padStart(6, '0')}`;
  await shelf.plant(
    Array.from({ length: 10_400 }, (_, n) => ({ apiKey: name(n), name: n === 10_300 ? 'needle' : '' })),
  );
  const store = await shelf.open();
  const asked = jest.spyOn(store, 'list');
  const { manager } = managerOf(store);
  expect(await manager.list({ search: 'needle' })).toMatchObject({
    keys: [{ apiKey: name(10_300) }],
    next: undefined,
  });
  expect(asked).toHaveBeenCalledTimes(1);
});

test('a view is of its moment: it does not follow later changes, and cannot change what is stored', async () => {
  const store = new MemoryStore();
  const { manager } = managerOf(store);
  const { key } = await manager.create({ apiKey: KEY, allowlists: { methods: ['eth_call'] } });
  await manager.addToAllowlist(KEY, 'methods', 'eth_chainId');
  expect(key.allowlists.methods).toEqual(['eth_call']);
  expect(() => (key.allowlists.methods as string[]).push('*')).toThrow(TypeError);
  expect((await store.get(KEY))?.allowlists.methods).toEqual(['eth_call', 'eth_chainId']);
});

test('changing what was handed in has no effect afterwards', async () => {
  const store = new MemoryStore();
  const { manager } = managerOf(store);
  const allowlists = { methods: ['eth_call'] };
  await manager.create({ apiKey: KEY, allowlists, secret: { allowlists } });
  allowlists.methods.push('*');
  const stored = await store.get(KEY);
  expect([stored?.allowlists.methods, stored?.secrets[0]?.allowlists?.methods]).toEqual([['eth_call'], ['eth_call']]);
});

describe('a misspelt member is refused with the right ones of that object:', () => {
  const manager = new KeyManager(new MemoryStore([{ apiKey: KEY, secrets: [{ id: 's1', hash: hashSecret('x') }] }]));

  test.each<[string, () => Promise<unknown>, string]>([
    ['create', () => manager.create(misuse({ requireSecrets: true })), 'did you mean requireSecret?'],
    [
      'create, secret',
      () => manager.create(misuse({ secret: { lable: '' } })),
      'secret.lable: does not exist; did you',
    ],
    ['create, options', () => manager.create({}, misuse({ actr: 'ann' })), 'did you mean actor?'],
    ['update', () => manager.update(KEY, misuse({ colour: 1 })), 'there are name, enabled, requireSecret, '],
    ['update, allowlists', () => manager.update(KEY, misuse({ allowlists: { method: [] } })), 'did you mean methods?'],
    ['addSecret', () => manager.addSecret(KEY, misuse({ hash: '' })), 'there are label, expiresAt, allowlists'],
    ['rotateSecret', () => manager.rotateSecret(KEY, 's1', misuse({ graceMS: 0 })), 'did you mean graceMs?'],
    ['list', () => manager.list(misuse({ limt: 5 })), 'did you mean limit?'],
    ['delete', () => manager.delete(KEY, misuse({ version: 1 })), 'there are expectedVersion, actor'],
  ])('%s', async (_method, work, right) => {
    await expect(work()).rejects.toMatchObject({ ...wrongArgument, message: expect.stringContaining(right) as string });
  });

  test('what is wrong with the values of the others is in the same message', async () => {
    const message = expect.stringMatching(/nam: .*did you mean name\?; enabled: .*/) as string;
    await expect(manager.create(misuse({ nam: 'x', enabled: 'yes' }))).rejects.toMatchObject({ message });
  });

  test('of the manager itself', () => {
    const given = misuse({ onaudit: 1, actor: 7 });
    const error = thrownBy(() => new KeyManager(new MemoryStore(), given));
    expect(error).toMatchObject({ code: 'ERR_RPC_GUARD_OPTIONS' });
    expect(error.message).toMatch(/onaudit: does not exist; did you mean onAudit\?\n {2}actor: got 7/);
  });
});

test('adding entries that are there already writes nothing and calls no listener', async () => {
  const store = new MemoryStore();
  const { manager, events } = managerOf(store);
  await manager.create({ apiKey: KEY, allowlists: { contractAddresses: [OTHER], methods: ['eth_call'] } });
  const before = await store.get(KEY);
  const key = await manager.addToAllowlist(KEY, 'contractAddresses', OTHER.toUpperCase().replace('0X', '0x'));
  await manager.addToAllowlist(KEY, 'methods', ['eth_call']);
  expect(key.version).toBe(1);
  expect(await store.get(KEY)).toBe(before);
  expect(events).toHaveLength(1);
});

test('a change that leaves everything as it is writes nothing, whatever it is', async () => {
  const onAudit = jest.fn();
  const limits = { perSecond: 5 };
  const secret = { id: 's1', hash: hashSecret(generateSecret()), label: 'ci', limits };
  const allowlists = { origins: ['https://a.example'] };
  const settings = { apiKey: KEY, name: 'a', limits, allowlists, reportOnly: ['origins' as const], secrets: [secret] };
  const manager = new KeyManager(new MemoryStore([settings]), { onAudit });
  const before = await manager.get(KEY);
  const after = [
    await manager.update(KEY, {}),
    await manager.update(KEY, { name: 'a', enabled: true, limits, allowlists, reportOnly: ['origins'] }),
    await manager.enable(KEY),
    await manager.updateSecret(KEY, 's1', { label: 'ci', limits }),
  ];
  for (const { version, updatedAt } of after)
    expect([version, updatedAt]).toEqual([before?.version, before?.updatedAt]);
  expect(onAudit).not.toHaveBeenCalled();
  expect((await manager.update(KEY, { allowlists: { origins: ['https://b.example'] } })).version).toBe(2);
  await expect(manager.update(KEY, {}, { expectedVersion: 1 })).rejects.toMatchObject(stale);
});
