import { ALLOWLISTS, forEachType } from '../allowlists';
import type { AllowlistType, Allowlists, KeySettings } from './key-settings';
import type { KeyLimits, Limits } from './limits';
import type { SecretDigest } from './secret';

/** A list that is in force, prepared for matching. */
export interface CompiledList {
  readonly entries: readonly string[];
  readonly matches: (value: string) => boolean;
}

/** A type without entries has none: everything passes it. */
export type CompiledAllowlists = Readonly<Record<AllowlistType, CompiledList | undefined>>;

/** Limits with their defaults; of a secret, without `perAddress`. */
export interface CompiledLimits {
  readonly second: { readonly perSecond: number; readonly burst: number } | undefined;
  readonly perDay: number | undefined;
  readonly perAddress: { readonly perSecond: number; readonly burst: number } | undefined;
}

export interface CompiledSecret extends SecretDigest {
  readonly id: string;
  readonly hint: string;
  readonly label: string;
  readonly allowlists: CompiledAllowlists | undefined;
  readonly reported: CompiledAllowlists | undefined;
  /** `undefined` where there is none. */
  readonly limits: CompiledLimits | undefined;
}

/** Settings, prepared for requests: digests as bytes, expiries as numbers, lists as matchers. */
export interface CompiledKey {
  readonly settings: KeySettings;
  readonly secrets: readonly CompiledSecret[];
  /** Those that refuse. */
  readonly allowlists: CompiledAllowlists;
  /** Those that only tell what they would refuse; `undefined` where there is none. */
  readonly reported: CompiledAllowlists | undefined;
  /** `undefined` where there is none. */
  readonly limits: CompiledLimits | undefined;
}

const compiled = new WeakMap<KeySettings, CompiledKey>();

/** Compiles settings that `parseKeySettings` returned, once for as long as they live. */
export function compileKeySettings(settings: KeySettings): CompiledKey {
  let key = compiled.get(settings);
  if (key === undefined) {
    const { reportOnly } = settings;
    key = {
      settings,
      secrets: settings.secrets.map((secret) => ({
        id: secret.id,
        hint: secret.hint,
        label: secret.label,
        digest: Buffer.from(secret.hash, 'hex'),
        expiresAtMs: secret.expiresAt === undefined ? Infinity : Date.parse(secret.expiresAt),
        allowlists: secret.allowlists && compileAllowlists(secret.allowlists, (type) => !reportOnly.includes(type)),
        reported: secret.allowlists && compileReported(secret.allowlists, reportOnly),
        limits: compileLimits(secret.limits),
      })),
      allowlists: compileAllowlists(settings.allowlists, (type) => !reportOnly.includes(type)),
      reported: compileReported(settings.allowlists, reportOnly),
      limits: compileLimits(settings.limits),
    };
    compiled.set(settings, key);
  }
  return key;
}

function compileAllowlists(lists: Allowlists, isTaken: (type: AllowlistType) => boolean): CompiledAllowlists {
  return forEachType((type): CompiledList | undefined => {
    const entries = lists[type];
    if (entries.length === 0 || !isTaken(type)) return undefined;
    return { entries, matches: ALLOWLISTS[type].compile(entries) };
  });
}

function compileReported(lists: Allowlists, reportOnly: KeySettings['reportOnly']): CompiledAllowlists | undefined {
  const isReported = (type: AllowlistType) => reportOnly.includes(type) && lists[type].length > 0;
  return reportOnly.some(isReported) ? compileAllowlists(lists, isReported) : undefined;
}

const BURST_SECONDS = 2;

export function compileLimits(
  limits: (Limits & Pick<KeyLimits, 'perAddress'>) | undefined,
): CompiledLimits | undefined {
  if (limits === undefined) return undefined;
  const { perDay, perAddress } = limits;
  const second = compileRate(limits);
  if (second === undefined && perDay === undefined && perAddress === undefined) return undefined;
  return { second, perDay, perAddress: perAddress && compileRate(perAddress) };
}

function compileRate({ perSecond, burst }: Limits): CompiledLimits['second'] {
  return perSecond === undefined ? undefined : { perSecond, burst: burst ?? BURST_SECONDS * perSecond };
}

export const PASSES_ALL: CompiledAllowlists = forEachType(() => undefined);
