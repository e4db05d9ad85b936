import { ALLOWLIST_TYPES } from '../allowlists';
import { BOOLEAN_RULE, checkArgument, isPlainObject, isText } from '../option-rules';
import type { OptionRule, OptionRules } from '../option-rules';
import type { AllowlistType, Allowlists, KeySettings } from '../settings/key-settings';
import { isSameEntry } from '../settings/settings-changes';
import { entriesOf, wrong } from './changes';
import { secretOf } from './new-secret';

export interface ProposeOptions {
  /** `24h`, `7d`, or when it begins: ISO 8601. Default `7d`. */
  readonly since?: string | undefined;
  /** Entries with a smaller share of the calls are listed and not ticked: 0 to 1. Default 0.001. */
  readonly minimumShare?: number | undefined;
  /** A secret that has lists of its own: for these, from what it did. Default: for the key's lists. */
  readonly secretId?: string | undefined;
}

/** What is taken over of a proposal. */
export interface AcceptedProposal {
  /** Entries to add, by list. */
  readonly lists: Partial<Allowlists>;
  /** Whether lists that had no entries only report at first. Default `true`. */
  readonly reportOnly?: boolean | undefined;
  /** A secret that has lists of its own: the entries join these. Default: the key's. */
  readonly secretId?: string | undefined;
}

const SPAN = /^([1-9][0-9]{0,3})([hd])$/;
const HOUR_MS = 3_600_000;

const SECRET_ID_RULE: OptionRule = { accepts: isText, takes: 'the id of a secret' };

const PROPOSE_RULES: OptionRules<ProposeOptions> = {
  since: {
    accepts: (value) => typeof value === 'string' && !Number.isNaN(beginningOf(value, 0)),
    takes: '"24h", "7d" or a time such as "2027-01-31T12:00:00Z"',
  },
  minimumShare: {
    accepts: (value) => typeof value === 'number' && value >= 0 && value <= 1,
    takes: 'a share from 0 to 1, such as 0.001',
  },
  secretId: SECRET_ID_RULE,
};

const APPLY_RULES: OptionRules<AcceptedProposal> = {
  lists: { accepts: isPlainObject, takes: 'entries by list, such as { methods: ["eth_call"] }', isRequired: true },
  reportOnly: BOOLEAN_RULE,
  secretId: SECRET_ID_RULE,
};

export function checkPropose(
  options: ProposeOptions,
  nowMs: number,
): { readonly sinceMs: number; readonly minimumShare: number; readonly secretId: string | undefined } {
  checkArgument('propose', PROPOSE_RULES, options);
  const { since = '7d', minimumShare = 0.001, secretId } = options;
  return { sinceMs: beginningOf(since, nowMs), minimumShare, secretId };
}

export function checkApply(accepted: AcceptedProposal): void {
  checkArgument('applyProposal', APPLY_RULES, accepted);
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- a caller without types may give it
  if (Object.values(accepted.lists).every((entries) => entries === undefined)) {
    throw wrong('lists: it takes one entry or more, such as { methods: ["eth_call"] }');
  }
  for (const [type, entries] of Object.entries(accepted.lists)) {
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- a caller without types may give it
    if (entries !== undefined) entriesOf(type as AllowlistType, isList(entries) ? entries : []);
  }
}

/** A text would be taken for entries of one character. */
function isList(value: unknown): value is readonly string[] {
  return Array.isArray(value);
}

/**
 * Never makes a list report that refuses already, as what it protects would be open. A type reports or refuses on the
 * whole key.
 */
export function withProposed(key: KeySettings, { lists, reportOnly = true, secretId }: AcceptedProposal): KeySettings {
  const given = ALLOWLIST_TYPES.filter((type) => (lists[type]?.length ?? 0) > 0);
  const present = listsOf(key, secretId);
  const grown = given.map((type) => {
    const list = [...present[type]];
    for (const entry of lists[type] ?? []) if (!list.some((it) => isSameEntry(type, it, entry))) list.push(entry);
    return [type, list] as const;
  });
  const allowlists = { ...present, ...Object.fromEntries(grown) };
  const changed =
    secretId === undefined
      ? { ...key, allowlists }
      : { ...key, secrets: key.secrets.map((it) => (it.id === secretId ? { ...it, allowlists } : it)) };
  const others = key.reportOnly.filter((type) => !given.includes(type));
  const reporting = given.filter((type) => key.reportOnly.includes(type) || present[type].length === 0);
  const next = reportOnly ? [...others, ...reporting] : others;
  const opened = next.find((type) => !key.reportOnly.includes(type) && refusesAnywhere(key, type));
  if (opened !== undefined) {
    const text = `reportOnly: a list of ${opened} refuses already on this key and would only report too`;
    throw wrong(`${text}; give reportOnly: false, or let ${opened} only report first`);
  }
  const isGrown = grown.some(([type, list]) => list.length > present[type].length);
  return isGrown || next.length !== key.reportOnly.length ? { ...changed, reportOnly: next } : key;
}

/** The lists that hold for a secret, or the key's. */
export function listsOf(key: KeySettings, secretId: string | undefined): Allowlists {
  if (secretId === undefined) return key.allowlists;
  const { allowlists } = secretOf(key, secretId);
  if (allowlists !== undefined) return allowlists;
  throw wrong("secretId: this secret has no lists of its own; the key's hold for it: leave secretId out");
}

function refusesAnywhere({ allowlists, secrets }: KeySettings, type: AllowlistType): boolean {
  return allowlists[type].length > 0 || secrets.some((secret) => (secret.allowlists?.[type].length ?? 0) > 0);
}

/** NaN for what is neither a span nor a time. */
function beginningOf(since: string, nowMs: number): number {
  const [, count, unit] = SPAN.exec(since) ?? [];
  if (count !== undefined) return nowMs - Number(count) * (unit === 'h' ? 1 : 24) * HOUR_MS;
  return /^\d{4}-\d{2}-\d{2}/.test(since) ? Date.parse(since) : NaN;
}
