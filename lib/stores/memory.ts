import { checkOptions } from '../option-rules';
import type { OptionRules } from '../option-rules';
import { parseKeySettings } from '../settings/key-settings';
import type { KeySettings, KeySettingsInput } from '../settings/key-settings';
import type { AuditEvent } from './audit-store';
import { MemoryAudit } from './memory-audit';
import { SpentRows } from './spent-rows';
import { UsageRows } from './usage-rows';
import type { KeyQuery, WritableSettingsStore } from './settings-store';
import type { UsageStore } from './usage-store';
import { checkKeyQuery, listed, pageOf } from './key-query';
import type { ListedKey } from './key-query';
import { assertFresh, settingsToWrite } from './versioned-write';

const RULES: OptionRules<{ readonly keys: readonly KeySettingsInput[] }> = {
  keys: { accepts: Array.isArray, takes: 'an array of settings, such as [{ apiKey: "my-first-key" }]' },
};

/** Settings in the memory of this process: for tests, and for keys that are written in code. */
export class MemoryStore implements WritableSettingsStore {
  /** Guards of this process that share the store count limits together. */
  readonly limits = new SpentRows();
  /** Kept as long as the process lives. */
  readonly usage: UsageStore = new UsageRows();
  /** The last 10,000 events. */
  readonly audit = new MemoryAudit();
  readonly #keys = new Map<string, ListedKey & { readonly settings: KeySettings }>();
  readonly #listeners = new Set<(apiKey: string) => void>();

  /** @throws RpcGuardError `ERR_RPC_GUARD_SETTINGS` when one of `keys` does not parse. */
  constructor(keys: readonly KeySettingsInput[] = []) {
    checkOptions('MemoryStore(keys)', RULES, { keys });
    for (const settings of keys.map(parseKeySettings)) this.#put(settings);
  }

  get(apiKey: string): Promise<KeySettings | undefined> {
    return Promise.resolve(this.#keys.get(apiKey)?.settings);
  }

  async set(settings: KeySettingsInput, expectedVersion?: number, event?: AuditEvent): Promise<KeySettings> {
    const current = this.#keys.get(settings.apiKey)?.settings;
    const written = settingsToWrite(current, settings, expectedVersion, event?.at);
    this.#put(written);
    if (event !== undefined) this.audit.keep({ ...event, version: written.version });
    this.#announce(written.apiKey);
    return Promise.resolve(written);
  }

  async delete(apiKey: string, expectedVersion?: number, event?: AuditEvent): Promise<boolean> {
    assertFresh(this.#keys.get(apiKey)?.settings, expectedVersion);
    const deleted = this.#keys.delete(apiKey);
    if (deleted && event !== undefined) this.audit.keep(event);
    this.#announce(apiKey);
    return Promise.resolve(deleted);
  }

  async list(query?: KeyQuery): Promise<readonly KeySettings[]> {
    checkKeyQuery(query);
    return Promise.resolve(pageOf(this.#keys.values(), query).map(({ settings }) => settings));
  }

  subscribe(onChange: (apiKey: string) => void): () => void {
    this.#listeners.add(onChange);
    return () => this.#listeners.delete(onChange);
  }

  #put(settings: KeySettings): void {
    this.#keys.set(settings.apiKey, { ...listed(settings), settings });
  }

  #announce(apiKey: string): void {
    for (const listener of this.#listeners) listener(apiKey);
  }
}
