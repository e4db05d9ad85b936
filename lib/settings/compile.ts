import { ALLOWLISTS } from '../allowlists';
import { forEachType } from './key-settings';
import type { AllowlistType, Allowlists, KeySettings } from './key-settings';
import type { SecretDigest } from './secret';

/** A list that is in force, prepared for matching. */
export interface CompiledList {
  readonly entries: readonly string[];
  readonly matches: (value: string) => boolean;
  /** Whether it refuses, or only says that it would. */
  readonly mode: 'enforce' | 'report';
}

/** A type without entries has none: everything passes it. */
export type CompiledAllowlists = Readonly<Record<AllowlistType, CompiledList | undefined>>;

export interface CompiledSecret extends SecretDigest {
  readonly id: string;
  readonly hint: string;
  readonly label: string;
  readonly allowlists: CompiledAllowlists | undefined;
}

/** Settings, prepared for requests: digests as bytes, expiries as numbers, lists as matchers. */
export interface CompiledKey {
  readonly settings: KeySettings;
  readonly secrets: readonly CompiledSecret[];
  readonly allowlists: CompiledAllowlists;
}

const compiled = new WeakMap<KeySettings, CompiledKey>();

/** Compiles settings that `parseKeySettings` returned, once for as long as they live. */
export function compileKeySettings(settings: KeySettings): CompiledKey {
  let key = compiled.get(settings);
  if (key === undefined) {
    key = {
      settings,
      secrets: settings.secrets.map((secret) => ({
        id: secret.id,
        hint: secret.hint,
        label: secret.label,
        digest: Buffer.from(secret.hash, 'hex'),
        expiresAtMs: secret.expiresAt === undefined ? Infinity : Date.parse(secret.expiresAt),
        allowlists: secret.allowlists && compileAllowlists(secret.allowlists),
      })),
      allowlists: compileAllowlists(settings.allowlists),
    };
    compiled.set(settings, key);
  }
  return key;
}

function compileAllowlists(lists: Allowlists): CompiledAllowlists {
  return forEachType((type): CompiledList | undefined => {
    const entries = lists[type];
    return entries.length === 0 ? undefined : { entries, matches: ALLOWLISTS[type].compile(entries), mode: 'enforce' };
  });
}

export const PASSES_ALL: CompiledAllowlists = forEachType(() => undefined);
