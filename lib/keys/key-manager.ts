import { randomUUID } from 'node:crypto';
import { ALLOWLISTS } from '../allowlists';
import { RpcGuardError } from '../errors';
import { ALLOWLIST_TYPES, MAX_SECRETS, parseKeySettings } from '../settings/key-settings';
import type { AllowlistType, Allowlists, KeySettings, KeySettingsInput, SecretRecord } from '../settings/key-settings';
import { describeError, quiet, stderrLogger } from '../logger';
import type { Logger } from '../logger';
import { API_KEY, generateApiKey, keyHint } from '../settings/api-key';
import { generateSecret, hashSecret } from '../settings/secret';
import type { WritableSettingsStore } from '../stores/settings-store';
import { MAX_ATTEMPTS, assertFresh, isStale, stored, tooBusy } from '../stores/versioned-write';

/** A secret as it may be shown: without its hash. */
export interface SecretView extends Omit<SecretRecord, 'hash'> {
  readonly state: 'active' | 'expired';
}

/** A key's settings as they may be shown: without hashes. */
export interface KeyView extends Omit<KeySettings, 'secrets'> {
  readonly secrets: readonly SecretView[];
}

export interface NewSecret {
  /** Up to 100 characters. Default `''`. */
  readonly label?: string | undefined;
  /** ISO 8601, UTC, in the future. Default: the secret does not expire. */
  readonly expiresAt?: string | undefined;
  /** Lists that requests with this secret are held against in place of the key's. */
  readonly allowlists?: Partial<Allowlists> | undefined;
}

/** What `updateSecret` can change. What is left out stays. */
export interface SecretChanges {
  /** Up to 100 characters. */
  readonly label?: string | undefined;
  /** ISO 8601, UTC, in the future; `null`: it does not expire. */
  readonly expiresAt?: string | null | undefined;
}

/** What `update` can change. What is left out stays; of `allowlists` each type that is given is replaced. */
export interface KeyChanges {
  readonly name?: string | undefined;
  readonly enabled?: boolean | undefined;
  readonly requireSecret?: boolean | undefined;
  readonly overrideAllowlists?: boolean | undefined;
  readonly allowlists?: Partial<Allowlists> | undefined;
}

export interface NewKey extends KeyChanges {
  /** A key brought along from elsewhere. Default: 32 fresh hex digits. */
  readonly apiKey?: string | undefined;
  /** The first secret. One is made by itself when `requireSecret` is true. */
  readonly secret?: NewSecret | undefined;
}

export interface RotateOptions {
  /** Whole milliseconds that the old secret lives on, never past its own expiry; up to a year, 0: it is dead at once. */
  readonly graceMs: number;
  /** When the new secret expires: ISO 8601, UTC. Default: it does not. */
  readonly expiresAt?: string | undefined;
}

export interface ChangeOptions {
  /** The version that the change is meant for. Without it the change is made to what is stored, whoever wrote that. */
  readonly expectedVersion?: number | undefined;
  /** Who makes the change, for `onAudit`. Default: the manager's `actor`. */
  readonly actor?: string | undefined;
}

/** A secret that was made. It is nowhere else, and cannot be read again. */
export interface MadeSecret {
  readonly key: KeyView;
  readonly secret: string;
  readonly secretId: string;
}

export type AuditAction =
  | 'key.create'
  | 'key.update'
  | 'key.enable'
  | 'key.disable'
  | 'key.delete'
  | 'secret.add'
  | 'secret.update'
  | 'secret.rotate'
  | 'secret.revoke'
  | 'allowlist.add'
  | 'allowlist.remove';

/** One change that was made. No secret and no hash is in it; `apiKey` and the views hold the whole key: log `keyHint`. */
export interface AuditEvent {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly actor: string;
  readonly action: AuditAction;
  readonly apiKey: string;
  /** The key's first characters. */
  readonly keyHint: string;
  /** The secret that was added, rotated or revoked. */
  readonly secretId: string | undefined;
  /** `undefined` for a key that is new, or was not readable. */
  readonly before: KeyView | undefined;
  /** `undefined` for a key that is deleted. */
  readonly after: KeyView | undefined;
}

export interface KeyManagerOptions {
  /** Is told every change once it is stored, and awaited. Its failure is logged: the change stands. */
  readonly onAudit?: ((event: AuditEvent) => unknown) | undefined;
  /** Who makes changes that do not say so themselves. Default `unknown`. */
  readonly actor?: string | undefined;
  /** Default: errors to stderr. */
  readonly logger?: Logger | undefined;
}

export interface ListOptions {
  /** Keys after this one. */
  readonly after?: string | undefined;
  /** Keys at most, 1 to 1000. Default 100. */
  readonly limit?: number | undefined;
  /** A part of the name, in any case, or the beginning of the key. */
  readonly search?: string | undefined;
  readonly state?: 'enabled' | 'disabled' | undefined;
}

export interface KeyPage {
  readonly keys: readonly KeyView[];
  /** Give it as `after` for what follows; `undefined` at the end. A search may have more to come after an empty page. */
  readonly next: string | undefined;
}

const CHANGES: readonly (keyof KeyChanges)[] = ['name', 'enabled', 'requireSecret', 'overrideAllowlists', 'allowlists'];
const NEW_KEY: readonly (keyof NewKey)[] = [...CHANGES, 'apiKey', 'secret'];
const NEW_SECRET: readonly (keyof NewSecret)[] = ['label', 'expiresAt', 'allowlists'];
const SECRET_CHANGES: readonly (keyof SecretChanges)[] = ['label', 'expiresAt'];
const CHANGE_OPTIONS: readonly (keyof ChangeOptions)[] = ['expectedVersion', 'actor'];
const ROTATE: readonly (keyof RotateOptions)[] = ['graceMs', 'expiresAt'];

const HINT_LENGTH = 8;
const MAX_GRACE_MS = 365 * 24 * 60 * 60 * 1000;
const MAX_LIMIT = 1000;
/** Keys that one search looks at before it gives its caller a chance to stop. */
const MAX_SEARCHED = 10_000;
const SEARCH_PAGE = 500;

/**
 * Keys and secrets over their whole life, in any writable store. A change is made to the settings as they are stored and
 * written with their version: of two managers at once neither loses anything. What it returns never contains a hash.
 * @throws RpcGuardError from every method: `ERR_RPC_GUARD_SETTINGS` for what does not parse, `ERR_RPC_GUARD_KEY_UNKNOWN`,
 * `ERR_RPC_GUARD_SECRET_UNKNOWN`, `ERR_RPC_GUARD_KEY_EXISTS`, `ERR_RPC_GUARD_STALE_WRITE` when the key is not of
 * `expectedVersion`, `ERR_RPC_GUARD_STORE` when the store fails. Nothing is written then.
 */
export class KeyManager {
  readonly #store: WritableSettingsStore;
  readonly #onAudit: (event: AuditEvent) => unknown;
  readonly #actor: string;
  readonly #logger: Logger;
  #started: Promise<void> | undefined;

  /** @throws RpcGuardError `ERR_RPC_GUARD_STORE` when `store` cannot be written, or `onAudit` is no function. */
  constructor(store: WritableSettingsStore, { onAudit, actor, logger }: KeyManagerOptions = {}) {
    const needed = ['get', 'set', 'delete', 'list'] as const;
    if (needed.some((name) => typeof (store as Partial<WritableSettingsStore> | undefined)?.[name] !== 'function')) {
      const text = `KeyManager takes a store with ${needed.join(', ')}, such as new FileStore("./rpc-guard.json")`;
      throw new RpcGuardError('ERR_RPC_GUARD_STORE', text);
    }
    if (onAudit !== undefined && typeof onAudit !== 'function') {
      throw new RpcGuardError('ERR_RPC_GUARD_STORE', 'KeyManager: onAudit is no function, such as (event) => {}');
    }
    this.#store = store;
    this.#onAudit = onAudit ?? (() => undefined);
    this.#actor = actor ?? 'unknown';
    this.#logger = quiet(logger ?? stderrLogger);
  }

  /** Makes a key, and a secret for it where it requires one or `secret` is given. */
  async create(
    newKey: NewKey = {},
    options: ChangeOptions = {},
  ): Promise<{ readonly key: KeyView; readonly secret?: string; readonly secretId?: string }> {
    assertMembers('key', newKey, NEW_KEY);
    assertMembers('options', options, CHANGE_OPTIONS);
    const { apiKey = generateApiKey(), secret, ...settings } = newKey;
    const isAsked = secret !== undefined || settings.requireSecret === true;
    const made = isAsked ? makeSecret(secret) : undefined;
    const secrets = made === undefined ? [] : [made.record];
    const input = { ...present(settings), apiKey, secrets };
    parseKeySettings(input);
    await this.#read(apiKey); // a record that does not parse is not written over
    let after: KeySettings;
    try {
      after = await stored(() => this.#store.set(input, 0));
    } catch (error) {
      if (!isStale(error)) throw error;
      throw new RpcGuardError('ERR_RPC_GUARD_KEY_EXISTS', `the key ${keyHint(apiKey)} exists already`);
    }
    await this.#tell('key.create', apiKey, options, { after, secretId: made?.record.id });
    const key = viewOf(after);
    return made === undefined ? { key } : { key, secret: made.secret, secretId: made.record.id };
  }

  /** `undefined` when there is no such key. */
  async get(apiKey: string): Promise<KeyView | undefined> {
    const settings = await this.#read(apiKey);
    return settings && viewOf(settings);
  }

  /** Keys in their order, a page at a time. Keys whose stored settings do not parse are not among them. */
  async list({ after = '', limit = 100, search = '', state }: ListOptions = {}): Promise<KeyPage> {
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
      throw invalid(`limit: is ${String(limit)}; it takes a whole number from 1 to ${String(MAX_LIMIT)}`);
    }
    if (typeof after !== 'string' || typeof search !== 'string') throw invalid('after, search: they take text');
    if (![undefined, 'enabled', 'disabled'].includes(state)) throw invalid('state: it takes "enabled" or "disabled"');
    await this.#start();
    const isWanted = matcher(search, state);
    const found: KeySettings[] = [];
    let last = after;
    for (let searched = 0; searched < MAX_SEARCHED && found.length <= limit;) {
      const page = await stored(() => this.#store.list({ after: last, limit: Math.max(SEARCH_PAGE, limit + 1) }));
      found.push(...page.filter(isWanted));
      searched += page.length;
      last = page.at(-1)?.apiKey ?? '';
      if (last === '') break;
    }
    const keys = found.slice(0, limit);
    const next = found.length > limit ? keys.at(-1)?.apiKey : last;
    return { keys: keys.map((settings) => viewOf(settings)), next: next === '' ? undefined : next };
  }

  async update(apiKey: string, changes: KeyChanges, options: ChangeOptions = {}): Promise<KeyView> {
    assertMembers('changes', changes, CHANGES);
    if (changes.allowlists !== undefined) assertMembers('allowlists', changes.allowlists, ALLOWLIST_TYPES);
    return this.#change('key.update', apiKey, options, undefined, (key) => ({
      ...key,
      ...present(changes),
      allowlists: { ...key.allowlists, ...present(changes.allowlists ?? {}) },
    }));
  }

  enable(apiKey: string, options: ChangeOptions = {}): Promise<KeyView> {
    return this.#change('key.enable', apiKey, options, undefined, (key) => ({ ...key, enabled: true }));
  }

  /** Every request with the key is refused until it is enabled again. */
  disable(apiKey: string, options: ChangeOptions = {}): Promise<KeyView> {
    return this.#change('key.disable', apiKey, options, undefined, (key) => ({ ...key, enabled: false }));
  }

  /** Adds a secret beside those there are. Where there are 100 already, the longest expired one makes room. */
  async addSecret(apiKey: string, secret: NewSecret = {}, options: ChangeOptions = {}): Promise<MadeSecret> {
    const made = makeSecret(secret);
    const key = await this.#change('secret.add', apiKey, options, made.record.id, (before) => ({
      ...before,
      secrets: withSecret(before.secrets, made.record),
    }));
    return { key, secret: made.secret, secretId: made.record.id };
  }

  /**
   * Changes the label or the expiry of a secret.
   * @throws RpcGuardError `ERR_RPC_GUARD_SETTINGS` for an expired secret: it stays dead.
   */
  async updateSecret(
    apiKey: string,
    secretId: string,
    changes: SecretChanges,
    options: ChangeOptions = {},
  ): Promise<KeyView> {
    assertMembers('changes', changes, SECRET_CHANGES);
    assertInFuture(changes.expiresAt ?? undefined);
    return this.#change('secret.update', apiKey, options, secretId, (key) => {
      const old = secretOf(key, secretId);
      if (isExpired(old, Date.now())) throw invalid('the secret has expired; rotate it or add another');
      const { expiresAt, ...others } = { ...old, ...present(changes) };
      const changed = { ...others, ...(expiresAt !== null && present({ expiresAt })) };
      return { ...key, secrets: key.secrets.map((secret) => (secret === old ? changed : secret)) };
    });
  }

  /** Makes a secret that takes the place of another, with its label and lists. */
  async rotateSecret(
    apiKey: string,
    secretId: string,
    options: RotateOptions,
    change: ChangeOptions = {},
  ): Promise<MadeSecret> {
    assertMembers('rotate', options, ROTATE);
    const { graceMs, expiresAt } = options;
    if (!Number.isInteger(graceMs) || graceMs < 0 || graceMs > MAX_GRACE_MS) {
      throw invalid(
        `graceMs: it takes whole milliseconds from 0 to ${String(MAX_GRACE_MS)}, such as 86400000 for a day`,
      );
    }
    const made = makeSecret({ expiresAt });
    const key = await this.#change('secret.rotate', apiKey, change, secretId, (before) => {
      const old = secretOf(before, secretId);
      const others = before.secrets.filter((secret) => secret !== old);
      const replaced = graceMs === 0 ? others : [...others, endingBy(old, Date.now() + graceMs)];
      const { label, allowlists } = old;
      return { ...before, secrets: withSecret(replaced, { ...made.record, label, allowlists }) };
    });
    return { key, secret: made.secret, secretId: made.record.id };
  }

  /** The secret is dead at once. */
  revokeSecret(apiKey: string, secretId: string, options: ChangeOptions = {}): Promise<KeyView> {
    return this.#change('secret.revoke', apiKey, options, secretId, (key) => {
      const revoked = secretOf(key, secretId);
      return { ...key, secrets: key.secrets.filter((secret) => secret !== revoked) };
    });
  }

  /** Adds entries to one list of the key, all of them or, where one is bad or there would be over 30, none. */
  async addToAllowlist(
    apiKey: string,
    type: AllowlistType,
    entries: string | readonly string[],
    options: ChangeOptions = {},
  ): Promise<KeyView> {
    const added = entriesOf(type, entries);
    return this.#change('allowlist.add', apiKey, options, undefined, (key) => {
      const list = [...key.allowlists[type]];
      for (const entry of added) if (!list.some((listed) => isSame(type, listed, entry))) list.push(entry);
      return { ...key, allowlists: { ...key.allowlists, [type]: list } };
    });
  }

  /**
   * Takes entries off one list of the key. A list without entries is no list: everything passes it.
   * @throws RpcGuardError `ERR_RPC_GUARD_SETTINGS` when one of them is not on it.
   */
  async removeFromAllowlist(
    apiKey: string,
    type: AllowlistType,
    entries: string | readonly string[],
    options: ChangeOptions = {},
  ): Promise<KeyView> {
    const removed = entriesOf(type, entries);
    return this.#change('allowlist.remove', apiKey, options, undefined, (key) => {
      const listed = key.allowlists[type];
      const missing = removed.find((entry) => !listed.some((it) => isSame(type, it, entry)));
      if (missing !== undefined) throw invalid(`allowlists.${type}: ${quote(missing)} is not on the list`);
      const left = listed.filter((entry) => !removed.some((it) => isSame(type, entry, it)));
      return { ...key, allowlists: { ...key.allowlists, [type]: left } };
    });
  }

  /** Deletes a key with its secrets, also one whose stored settings do not parse. */
  async delete(apiKey: string, options: ChangeOptions = {}): Promise<void> {
    let before: KeySettings | undefined;
    try {
      ({ before } = await this.#write(apiKey, options, (key) => this.#store.delete(apiKey, key.version)));
    } catch (error) {
      const isBroken = error instanceof RpcGuardError && error.code === 'ERR_RPC_GUARD_SETTINGS';
      if (!isBroken || !(await stored(() => this.#store.delete(apiKey, options.expectedVersion)))) throw error;
    }
    await this.#tell('key.delete', apiKey, options, { before });
  }

  async #change(
    action: AuditAction,
    apiKey: string,
    options: ChangeOptions,
    secretId: string | undefined,
    edit: (key: KeySettings) => KeySettingsInput,
  ): Promise<KeyView> {
    const change = await this.#write(apiKey, options, (key) => this.#store.set(edit(key), key.version));
    await this.#tell(action, apiKey, options, { before: change.before, after: change.written, secretId });
    return viewOf(change.written);
  }

  /** Writes to what is stored; where another write comes between, to what that has stored. */
  async #write<T>(
    apiKey: unknown,
    options: ChangeOptions,
    write: (before: KeySettings) => Promise<T>,
  ): Promise<{ readonly before: KeySettings; readonly written: T }> {
    assertMembers('options', options, CHANGE_OPTIONS);
    const { expectedVersion } = options;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const before = await this.#read(apiKey);
      if (before === undefined) {
        throw new RpcGuardError('ERR_RPC_GUARD_KEY_UNKNOWN', `there is no key ${keyHint(String(apiKey))}`);
      }
      assertFresh(before, expectedVersion);
      try {
        return { before, written: await stored(() => write(before)) };
      } catch (error) {
        if (!isStale(error) || expectedVersion !== undefined) throw error;
      }
    }
    throw tooBusy();
  }

  /** What can be no key is in no store. */
  async #read(apiKey: unknown): Promise<KeySettings | undefined> {
    await this.#start();
    return typeof apiKey === 'string' && API_KEY.test(apiKey) ? stored(() => this.#store.get(apiKey)) : undefined;
  }

  #start(): Promise<void> {
    this.#started ??= stored(async () => this.#store.init?.()).catch((error: unknown) => {
      this.#started = undefined;
      throw error;
    });
    return this.#started;
  }

  async #tell(
    action: AuditAction,
    apiKey: string,
    { actor = this.#actor }: ChangeOptions,
    {
      before,
      after,
      secretId,
    }: { before?: KeySettings | undefined; after?: KeySettings; secretId?: string | undefined },
  ): Promise<void> {
    const event: AuditEvent = {
      at: new Date().toISOString(),
      actor,
      action,
      apiKey,
      keyHint: keyHint(apiKey),
      secretId,
      before: before && viewOf(before),
      after: after && viewOf(after),
    };
    try {
      await this.#onAudit(event);
    } catch (error) {
      this.#logger.error({ key: event.keyHint, action, reason: describeError(error, apiKey) }, 'onAudit failed');
    }
  }
}

function viewOf(settings: KeySettings): KeyView {
  const now = Date.now();
  return { ...settings, secrets: settings.secrets.map((secret) => viewOfSecret(secret, now)) };
}

/** Member by member, so that none is shown by accident. */
function viewOfSecret(secret: SecretRecord, nowMs: number): SecretView {
  const { id, hint, label, createdAt, expiresAt, allowlists } = secret;
  const state = isExpired(secret, nowMs) ? 'expired' : 'active';
  return { id, hint, label, createdAt, ...present({ expiresAt, allowlists }), state };
}

function isExpired({ expiresAt }: Pick<SecretRecord, 'expiresAt'>, nowMs: number): boolean {
  return expiresAt !== undefined && Date.parse(expiresAt) <= nowMs;
}

function matcher(search: string, state: ListOptions['state']): (key: KeySettings) => boolean {
  const wanted = search.trim();
  const name = wanted.toLowerCase();
  return (key) =>
    (state === undefined || key.enabled === (state === 'enabled')) &&
    (key.apiKey.startsWith(wanted) || key.name.toLowerCase().includes(name));
}

function makeSecret(options: NewSecret = {}): { readonly secret: string; readonly record: NewRecord } {
  assertMembers('secret', options, NEW_SECRET);
  const { label = '', expiresAt, allowlists } = options;
  const now = Date.now();
  assertInFuture(expiresAt);
  const secret = generateSecret();
  const id = randomUUID().replaceAll('-', '').slice(0, 12);
  const hint = secret.slice(0, HINT_LENGTH);
  const createdAt = new Date(now).toISOString();
  return { secret, record: present({ id, hash: hashSecret(secret), hint, label, createdAt, expiresAt, allowlists }) };
}

function assertInFuture(expiresAt: string | undefined): void {
  if (expiresAt !== undefined && Date.parse(expiresAt) <= Date.now()) {
    throw invalid(`expiresAt: ${quote(expiresAt)} has passed`);
  }
}

type NewRecord = Omit<SecretRecord, 'allowlists'> & Pick<NewSecret, 'allowlists'>;

function secretOf(key: KeySettings, secretId: string): SecretRecord {
  const found = key.secrets.find(({ id }) => id === secretId);
  if (found !== undefined) return found;
  throw new RpcGuardError('ERR_RPC_GUARD_SECRET_UNKNOWN', 'the key has no secret of this id');
}

function endingBy(secret: SecretRecord, endMs: number): SecretRecord {
  const end = secret.expiresAt === undefined ? endMs : Math.min(endMs, Date.parse(secret.expiresAt));
  return { ...secret, expiresAt: new Date(end).toISOString() };
}

function withSecret(secrets: readonly SecretRecord[], added: NewRecord): readonly NewRecord[] {
  const now = Date.now();
  const [longestExpired] = secrets
    .filter((secret) => isExpired(secret, now))
    .sort((a, b) => Date.parse(a.expiresAt ?? '') - Date.parse(b.expiresAt ?? ''));
  const isFull = secrets.length >= MAX_SECRETS;
  return [...secrets.filter((secret) => !isFull || secret !== longestExpired), added];
}

function entriesOf(type: AllowlistType, entries: string | readonly string[]): readonly string[] {
  if (!ALLOWLIST_TYPES.includes(type)) {
    throw invalid(`allowlists: there is no such list; there are ${ALLOWLIST_TYPES.join(', ')}`);
  }
  const all: readonly unknown[] = [entries].flat();
  if (all.length > 0 && all.every((entry) => typeof entry === 'string')) return all;
  throw invalid(`allowlists.${type}: it takes one entry or more, as strings`);
}

function isSame(type: AllowlistType, a: string, b: string): boolean {
  return a === b || (ALLOWLISTS[type].ignoresCase && a.toLowerCase() === b.toLowerCase());
}

/** A mistyped member would otherwise change nothing, or more than its writer meant. */
function assertMembers(what: string, value: unknown, allowed: readonly string[]): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(`${what}: is no object`);
  const unknown = Object.keys(value).filter((name) => !allowed.includes(name));
  if (unknown.length > 0) throw invalid(`${what}: has other members than ${allowed.join(', ')}`);
}

/** Without the members that are `undefined`. */
function present<T extends object>(value: T): { [Name in keyof T]: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as never;
}

function quote(text: unknown): string {
  return JSON.stringify(String(text).slice(0, 200));
}

function invalid(message: string): RpcGuardError {
  return new RpcGuardError('ERR_RPC_GUARD_SETTINGS', message);
}
