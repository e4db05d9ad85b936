import * as allowlists from '../allowlists';
import type { Allowlist, CallAllowlist, HeaderAllowlist, MethodAllowlist } from '../allowlists/allowlist';
import { ALLOWLIST_TYPES } from './key-settings';
import type { Allowlists, KeySettings } from './key-settings';
import type { SecretDigest } from './secret';

/** Allowlists, prepared for matching. A type without entries is not among them. */
export interface CompiledAllowlists {
  readonly headers: readonly Compiled<HeaderAllowlist>[];
  readonly calls: readonly Compiled<CallAllowlist>[];
  readonly methods: readonly Compiled<MethodAllowlist>[];
}

interface Compiled<T extends Allowlist> {
  readonly refusal: T['refusal'];
  readonly matches: ReturnType<T['compile']>;
}

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
  const headers: Compiled<HeaderAllowlist>[] = [];
  const calls: Compiled<CallAllowlist>[] = [];
  const methods: Compiled<MethodAllowlist>[] = [];
  for (const type of ALLOWLIST_TYPES) {
    const entries = lists[type];
    if (entries.length === 0) continue;
    const list: Allowlist = allowlists[type];
    if (list.decides === 'headers') headers.push({ refusal: list.refusal, matches: list.compile(entries) });
    else if (list.decides === 'call') calls.push({ refusal: list.refusal, matches: list.compile(entries) });
    else methods.push({ refusal: list.refusal, matches: list.compile(entries) });
  }
  return { headers, calls, methods };
}

export const PASSES_ALL: CompiledAllowlists = { headers: [], calls: [], methods: [] };
