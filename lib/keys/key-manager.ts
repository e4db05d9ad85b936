import { RpcGuardError } from '../errors';
import { quiet, stderrLogger } from '../logger';
import type { Logger } from '../logger';
import { LOGGER_RULE, checkOptions, isFunction, isText } from '../option-rules';
import type { OptionRules } from '../option-rules';
import { parseKeySettings } from '../settings/key-settings';
import type { AllowlistType, KeySettings, KeySettingsInput } from '../settings/key-settings';
import { isSameEntry, isSameSettings } from '../settings/settings-changes';
import { API_KEY, generateApiKey, keyHint } from '../settings/api-key';
import { cursorOf } from '../stores/key-query';
import { usageOf } from '../stores/usage-rows';
import { HOUR_MS, hourOf } from '../stores/usage-store';
import type { UsageKind } from '../stores/usage-store';
import { WRITABLE_STORE_RULE } from '../stores/settings-store';
import type { KeyProblem, WritableSettingsStore } from '../stores/settings-store';
import { MAX_ATTEMPTS, assertFresh, isStale, stored, tooBusy } from '../stores/versioned-write';
import { auditEvent, idAt, timeOfChange } from '../stores/audit-event';
import type { Happening } from '../stores/audit-event';
import type { AuditAction, AuditEvent, AuditVia } from '../stores/audit-store';
import { AuditTrail } from './audit';
import {
  VIA_RULE,
  checkAudit,
  checkChangeOptions,
  checkChanges,
  checkList,
  checkNewKey,
  checkNewSecret,
  checkRotate,
  checkSecretChanges,
  entriesOf,
  wrong,
} from './changes';
import type {
  AuditOptions,
  ChangeOptions,
  KeyChanges,
  ListOptions,
  NewKey,
  NewKeyWithSecret,
  NewSecret,
  RotateOptions,
  SecretChanges,
} from './changes';
import { refusalReport } from './refusal-report';
import type { RefusalGroup, RefusalsOptions } from './refusal-report';
import { lastUsed, usageReport } from './usage-report';
import type { UsageOptions, UsageReport } from './usage-report';
import { timeOf } from './since';
import { limitsInUse } from './limits-in-use';
import type { LimitsInUse } from './limits-in-use';
import { loadDomainOf } from './domain-of';
import type { Proposal } from './proposal';
import { checkApply, checkPropose, listsOf, withProposed } from './propose-options';
import type { AcceptedProposal, ProposeOptions } from './propose-options';
import { proposalOf } from './propose';
import { rowsOfKey, rowsOfSecret } from './rows-of-secret';
import { isExpired, present, settled, viewOf } from '../settings/key-view';
import type { KeyView } from '../settings/key-view';
import { withReportOnlySince } from './report-only-since';
import { assertInFuture, endingBy, makeSecret, secretOf, withSecret } from './new-secret';

/** A new secret. It is stored nowhere and cannot be read again. */
export interface MadeSecret {
  readonly key: KeyView;
  readonly secret: string;
  readonly secretId: string;
}

/** A new key, with its secret if it has one. */
export interface MadeKey {
  readonly key: KeyView;
  readonly secret?: string;
  readonly secretId?: string;
}

export interface KeyManagerOptions {
  /** Called after every change once it is stored, and awaited. Its failure is logged: the change stands. */
  readonly onAudit?: ((event: AuditEvent) => unknown) | undefined;
  /** The actor of changes that name none. Default `unknown`. */
  readonly actor?: string | undefined;
  /** The way by which changes come that say none. Default `code`. */
  readonly via?: AuditVia | undefined;
  /** Default: errors to stderr. */
  readonly logger?: Logger | undefined;
}

export interface KeyPage {
  readonly keys: readonly KeyView[];
  /** Pass it as `after` for the next page; `undefined` at the end. */
  readonly next: string | undefined;
}

const RULES: OptionRules<KeyManagerOptions & { readonly store: WritableSettingsStore }> = {
  store: WRITABLE_STORE_RULE,
  onAudit: { accepts: isFunction, takes: 'a function, such as (event) => {}' },
  actor: { accepts: isText, takes: 'a name, such as "ann"' },
  via: VIA_RULE,
  logger: LOGGER_RULE,
};

const PROPOSED_FROM_SECRET: readonly UsageKind[] = ['secret', 'ofSecret'];
const PROPOSED_FROM: readonly UsageKind[] = [
  ...(['total', 'method', 'origin', 'address', 'userAgent'] as const),
  ...PROPOSED_FROM_SECRET,
];

/**
 * Keys and secrets over their whole life, in any writable store. A change is made to the settings as they are stored and
 * written with their version: of two managers at once neither loses anything. What it returns never contains a hash.
 * @throws RpcGuardError from every method: `ERR_RPC_GUARD_ARGUMENT` for a wrong argument, `ERR_RPC_GUARD_SETTINGS` for
 * settings that do not parse, `ERR_RPC_GUARD_KEY_UNKNOWN`,
 * `ERR_RPC_GUARD_SECRET_UNKNOWN`, `ERR_RPC_GUARD_KEY_EXISTS`, `ERR_RPC_GUARD_STALE_WRITE` when the key is not of
 * `expectedVersion`, `ERR_RPC_GUARD_STORE` when the store fails. Nothing is written then.
 */
export class KeyManager {
  readonly #store: WritableSettingsStore;
  readonly #actor: string;
  readonly #via: AuditVia;
  readonly #trail: AuditTrail;
  #started: Promise<void> | undefined;

  /** @throws RpcGuardError `ERR_RPC_GUARD_OPTIONS` when `store` cannot be written, or for any wrong option. */
  constructor(store: WritableSettingsStore, options: KeyManagerOptions = {}) {
    const { onAudit, actor, via, logger } = checkOptions('KeyManager(store, options)', RULES, { ...options, store });
    this.#store = store;
    this.#actor = actor ?? 'unknown';
    this.#via = via ?? 'code';
    this.#trail = new AuditTrail(store, onAudit, quiet(logger ?? stderrLogger));
  }

  /** Creates a key, with a secret if it requires one or `secret` is given. */
  create(newKey: NewKeyWithSecret, options?: ChangeOptions): Promise<MadeSecret>;
  create(newKey?: NewKey, options?: ChangeOptions): Promise<MadeKey>;
  async create(newKey: NewKey = {}, options: ChangeOptions = {}): Promise<MadeKey> {
    checkNewKey(newKey);
    checkChangeOptions(options);
    const { apiKey = generateApiKey(), secret, ...settings } = newKey;
    const isAsked = secret !== undefined || settings.requireSecret === true;
    const made = isAsked ? makeSecret(secret) : undefined;
    const secrets = made === undefined ? [] : [made.record];
    const at = await this.#timeToCreate(apiKey, newKey.apiKey !== undefined);
    const input = withReportOnlySince({ ...settled(settings), apiKey, secrets, createdAt: at, updatedAt: at }, {});
    const action = options.isImport === true ? 'key.import' : 'key.create';
    const event = this.#eventOf(action, options, { apiKey, after: parseKeySettings(input), secretId: made?.record.id });
    await this.#read(apiKey); // a record that does not parse is not written over
    let after: KeySettings;
    try {
      after = await stored(() => this.#store.set(input, 0, event));
    } catch (error) {
      if (!isStale(error)) throw error;
      throw new RpcGuardError('ERR_RPC_GUARD_KEY_EXISTS', `the key ${keyHint(apiKey)} exists already`);
    }
    await this.#trail.changed(event);
    const key = viewOf(after);
    return made === undefined ? { key } : { key, secret: made.secret, secretId: made.record.id };
  }

  /** `undefined` if there is no such key. */
  async get(apiKey: string): Promise<KeyView | undefined> {
    const settings = await this.#read(apiKey);
    return settings && this.#withLastUse(viewOf(settings));
  }

  /** Keys by name, or as `sort` says, a page at a time. Keys whose settings do not parse are not among them. */
  async list(options: ListOptions = {}): Promise<KeyPage> {
    checkList(options);
    const { after = '', limit = 100, search = '', state, sort = 'name', descending } = options;
    await this.#start();
    const query = { after, limit: limit + 1, search, state, sort, descending };
    const found = await stored(() => this.#store.list(query));
    await this.#trail.noteExpired(found);
    const keys = found.slice(0, limit);
    const last = keys.at(-1);
    const next = found.length > limit && last !== undefined ? cursorOf(last, sort) : undefined;
    return { keys: keys.map((settings) => viewOf(settings)), next };
  }

  /** What is left of the key's own limits, as the processes that charge it last told the store. Nothing is charged. */
  async limits(apiKey: string): Promise<LimitsInUse> {
    const settings = await this.#read(apiKey);
    if (settings === undefined) {
      throw new RpcGuardError('ERR_RPC_GUARD_KEY_UNKNOWN', `there is no key ${keyHint(apiKey)}`);
    }
    return stored(() => limitsInUse(settings, this.#store.limits, Date.now()));
  }

  /** What a key did, or all keys where it is `undefined`, as the processes last told the store: 10 s ago at most. */
  async usage(apiKey?: string, options: UsageOptions = {}): Promise<UsageReport> {
    await this.#start();
    return stored(() => usageReport(usageOf(this.#store), apiKey, options, Date.now()));
  }

  /** Refusals of the last 7 days in groups, the last one first: of a key, or of all and of requests without one. */
  async refusals(apiKey?: string, options: RefusalsOptions = {}): Promise<readonly RefusalGroup[]> {
    await this.#start();
    return stored(() => refusalReport(usageOf(this.#store), apiKey, options, Date.now()));
  }

  /**
   * Lists that would let pass what a key's callers were allowed to do. Nothing is changed: `applyProposal` takes over what
   * you choose of it.
   */
  async propose(apiKey: string, options: ProposeOptions = {}): Promise<Proposal> {
    const { sinceMs, minimumShare, secretId } = checkPropose(options, Date.now());
    const settings = await this.#read(apiKey);
    if (settings === undefined) {
      throw new RpcGuardError('ERR_RPC_GUARD_KEY_UNKNOWN', `there is no key ${keyHint(apiKey)}`);
    }
    const allowlists = listsOf(settings, secretId);
    const kinds = secretId === undefined ? PROPOSED_FROM : PROPOSED_FROM_SECRET;
    const query = { apiKey, from: hourOf(sinceMs), to: hourOf(Date.now() + HOUR_MS), kinds };
    const counted = await stored(() => usageOf(this.#store).read(query));
    const rows = secretId === undefined ? rowsOfKey(counted) : rowsOfSecret(counted, secretId);
    return proposalOf(rows, { allowlists, minimumShare, domainOf: loadDomainOf() });
  }

  /**
   * Adds entries to several lists in one write. Lists that had none only report from then on, unless `reportOnly` is
   * false: then all that are named refuse. A list that refuses already goes on refusing.
   * @throws RpcGuardError `ERR_RPC_GUARD_ARGUMENT` also where a list of the same type refuses elsewhere on the key: a type
   * reports or refuses for the key and its secrets alike.
   */
  async applyProposal(apiKey: string, accepted: AcceptedProposal, options: ChangeOptions = {}): Promise<KeyView> {
    checkApply(accepted);
    return this.#change('allowlist.propose', apiKey, options, accepted.secretId, (key) => withProposed(key, accepted));
  }

  /** Keys whose settings do not parse, which `list` leaves out; 100 at most, `[]` where the store does not tell. */
  async problems(): Promise<readonly KeyProblem[]> {
    await this.#start();
    return stored(async () => (await this.#store.problems?.()) ?? []);
  }

  async update(apiKey: string, changes: KeyChanges, options: ChangeOptions = {}): Promise<KeyView> {
    checkChanges(changes);
    const action = options.isImport === true ? 'key.import' : actionOf(changes);
    return this.#change(action, apiKey, options, undefined, (key) => ({
      ...settled({ ...key, ...present(changes) }),
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

  /** Adds a secret. If there are 100 already, the longest expired one makes room. */
  async addSecret(apiKey: string, secret: NewSecret = {}, options: ChangeOptions = {}): Promise<MadeSecret> {
    checkNewSecret(secret);
    const made = makeSecret(secret);
    const key = await this.#change('secret.add', apiKey, options, made.record.id, (before) => ({
      ...before,
      secrets: withSecret(before.secrets, made.record),
    }));
    return { key, secret: made.secret, secretId: made.record.id };
  }

  /**
   * Changes the label, the expiry or the limits of a secret.
   * @throws RpcGuardError `ERR_RPC_GUARD_ARGUMENT` for an expired secret: it stays dead.
   */
  async updateSecret(
    apiKey: string,
    secretId: string,
    changes: SecretChanges,
    options: ChangeOptions = {},
  ): Promise<KeyView> {
    checkSecretChanges(changes);
    assertInFuture(changes.expiresAt ?? undefined);
    return this.#change('secret.update', apiKey, options, secretId, (key) => {
      const old = secretOf(key, secretId);
      if (isExpired(old, Date.now())) throw wrong('the secret has expired; rotate it or add another');
      const changed = settled({ ...old, ...present(changes) });
      return { ...key, secrets: key.secrets.map((secret) => (secret === old ? changed : secret)) };
    });
  }

  /** Creates a secret that replaces another, with its label, lists and limits. */
  async rotateSecret(
    apiKey: string,
    secretId: string,
    options: RotateOptions,
    change: ChangeOptions = {},
  ): Promise<MadeSecret> {
    checkRotate(options);
    const { graceMs, expiresAt } = options;
    const made = makeSecret({ expiresAt });
    const key = await this.#change('secret.rotate', apiKey, change, secretId, (before) => {
      const old = secretOf(before, secretId);
      const others = before.secrets.filter((secret) => secret !== old);
      const replaced = graceMs === 0 ? others : [...others, endingBy(old, Date.now() + graceMs)];
      const { label, allowlists, limits } = old;
      return { ...before, secrets: withSecret(replaced, { ...made.record, label, allowlists, limits }) };
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

  /**
   * Adds entries to one list of the key, all of them or, where one is bad or there would be over 30, none. Where all are
   * on it already nothing is written.
   */
  async addToAllowlist(
    apiKey: string,
    type: AllowlistType,
    entries: string | readonly string[],
    options: ChangeOptions = {},
  ): Promise<KeyView> {
    const added = entriesOf(type, entries);
    return this.#change('allowlist.add', apiKey, options, undefined, (key) => {
      const list = [...key.allowlists[type]];
      for (const entry of added) if (!list.some((listed) => isSameEntry(type, listed, entry))) list.push(entry);
      return { ...key, allowlists: { ...key.allowlists, [type]: list } };
    });
  }

  /**
   * Takes entries off one list of the key. A list without entries is no list: everything passes it.
   * @throws RpcGuardError `ERR_RPC_GUARD_ARGUMENT` when one of them is not on it.
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
      const missing = removed.find((entry) => !listed.some((it) => isSameEntry(type, it, entry)));
      if (missing !== undefined)
        throw wrong(`allowlists.${type}: ${JSON.stringify(missing.slice(0, 200))} is not on the list`);
      const left = listed.filter((entry) => !removed.some((it) => isSameEntry(type, entry, it)));
      return { ...key, allowlists: { ...key.allowlists, [type]: left } };
    });
  }

  /**
   * What happened, the newest first: changes, by whom, and what else `AuditAction` names.
   * @throws RpcGuardError `ERR_RPC_GUARD_ARGUMENT` also where the store keeps no history.
   */
  async audit(options: AuditOptions = {}): Promise<readonly AuditEvent[]> {
    checkAudit(options);
    const { since, limit = 100, ...query } = options;
    await this.#start();
    const { audit } = this.#store;
    if (audit === undefined) throw wrong('audit: the store keeps no history; give it an `audit`, see docs/audit.md');
    const events = await stored(() => audit.list({ ...query, limit }));
    const oldest = since === undefined ? '' : idAt(timeOf(since, Date.now()));
    const end = events.findIndex(({ id }) => id < oldest);
    return end === -1 ? events : events.slice(0, end);
  }

  /** Deletes a key with its secrets, also one whose stored settings do not parse. Its history stays. */
  async delete(apiKey: string, options: ChangeOptions = {}): Promise<void> {
    let event: AuditEvent | undefined;
    const eventOf = (before?: KeySettings) =>
      this.#eventOf('key.delete', options, { apiKey, before, version: before === undefined ? 0 : before.version + 1 });
    try {
      await this.#write(apiKey, options, (key) => this.#store.delete(apiKey, key.version, (event = eventOf(key))));
    } catch (error) {
      const isBroken = error instanceof RpcGuardError && error.code === 'ERR_RPC_GUARD_SETTINGS';
      if (!isBroken) throw error;
      const broken = (event = eventOf());
      if (!(await stored(() => this.#store.delete(apiKey, options.expectedVersion, broken)))) throw error;
    }
    await this.#trail.changed(event!);
  }

  async #change(
    action: AuditAction,
    apiKey: string,
    options: ChangeOptions,
    secretId: string | undefined,
    edit: (key: KeySettings) => KeySettingsInput,
  ): Promise<KeyView> {
    let event: AuditEvent | undefined;
    const { before, written } = await this.#write(apiKey, options, async (key) => {
      const next = { version: key.version + 1, updatedAt: timeOfChange(key) };
      const after = parseKeySettings({ ...withReportOnlySince(edit(key), key), ...next });
      // What is there already is no change: no version, no event.
      if (isSameSettings(key, after)) return key;
      event = this.#eventOf(action, options, { apiKey, before: key, after, secretId });
      return this.#store.set(after, key.version, event);
    });
    if (written === before) return viewOf(before);
    await this.#trail.changed(event!);
    return viewOf(written);
  }

  /** A key that is made again stands behind its deletion, though that was in the same millisecond or by a clock ahead. */
  async #timeToCreate(apiKey: string, isGiven: boolean): Promise<string> {
    const { audit } = this.#store;
    if (!isGiven || audit === undefined || !API_KEY.test(apiKey)) return timeOfChange(undefined);
    await this.#start();
    const [last] = await stored(() => audit.list({ apiKey, limit: 1 }));
    const updatedAt = last && new Date(Date.parse(last.at) + 1).toISOString();
    return timeOfChange(updatedAt === undefined ? undefined : { updatedAt });
  }

  #eventOf(action: AuditAction, options: ChangeOptions, happened: Happened): AuditEvent {
    const { actor = this.#actor, via = this.#via, requestId, group } = options;
    const at = happened.after?.updatedAt ?? timeOfChange(happened.before);
    return auditEvent({ ...happened, action, actor, via, requestId, group, at });
  }

  /** Applies a change to the stored settings, and again if another write comes between. */
  async #write<T>(
    apiKey: unknown,
    options: ChangeOptions,
    write: (before: KeySettings) => Promise<T>,
  ): Promise<{ readonly before: KeySettings; readonly written: T }> {
    checkChangeOptions(options);
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

  /** A malformed key is in no store. */
  async #read(apiKey: unknown): Promise<KeySettings | undefined> {
    await this.#start();
    if (typeof apiKey !== 'string' || !API_KEY.test(apiKey)) return undefined;
    const settings = await stored(() => this.#store.get(apiKey));
    if (settings !== undefined) await this.#trail.noteExpired([settings]);
    return settings;
  }

  /** Settings can be shown where usage cannot be read. */
  async #withLastUse(view: KeyView): Promise<KeyView> {
    try {
      const { key, secrets } = await lastUsed(usageOf(this.#store), view, Date.now());
      const withUse = view.secrets.map((secret) => ({ ...secret, ...present({ lastUsedAt: secrets.get(secret.id) }) }));
      return { ...view, secrets: withUse, ...present({ lastUsedAt: key }) };
    } catch {
      return view;
    }
  }

  #start(): Promise<void> {
    this.#started ??= stored(async () => this.#store.init?.()).catch((error: unknown) => {
      this.#started = undefined;
      throw error;
    });
    return this.#started;
  }
}

type Happened = Omit<Happening, 'action' | 'actor' | 'via'>;

function actionOf(changes: KeyChanges): AuditAction {
  const names = Object.keys(present(changes));
  if (names.length !== 1) return 'key.update';
  return names[0] === 'limits' ? 'limits.update' : names[0] === 'reportOnly' ? 'report-only.update' : 'key.update';
}
