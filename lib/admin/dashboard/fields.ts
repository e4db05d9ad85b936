import type { ShownKey } from '../api';
import type { AllowlistMeta } from '../allowlist-meta';
import type { KeyChanges } from '../../keys/changes';
import type { KeyLimits } from '../../settings/limits';
import { limitWords } from './limit-words';
import { count } from './words';

/** The members that are saved together. */
export type Field = 'name' | 'enabled' | 'requireSecret' | 'overrideAllowlists' | 'limits';
/** `limits: null` takes them away. */
export type FieldChanges = Pick<KeyChanges, Field>;

/** A part of a key, and how its value is told. */
interface Part {
  readonly name: string;
  readonly label: string;
  readonly of: (key: ShownKey) => unknown;
  readonly tell: (key: ShownKey) => string;
}

export interface Difference {
  readonly name: string;
  readonly label: string;
  readonly before: string;
  readonly theirs: string;
  readonly isTheirs: boolean;
  readonly yours: string | undefined;
}

const FIELDS: readonly Field[] = ['name', 'enabled', 'requireSecret', 'overrideAllowlists', 'limits'];

const LABELS: Readonly<Record<Field, string>> = {
  name: 'Name',
  enabled: 'Enabled',
  requireSecret: 'Require secret',
  overrideAllowlists: 'Override allowlists',
  limits: 'Limits',
};

const REPORT_ONLY = 'Report only';

/** What a member of a key is called, such as `name` or `allowlists.methods`. */
export function labelOf(member: string, lists: readonly AllowlistMeta[]): string {
  const list = lists.find(({ type }) => member === `allowlists.${type}`);
  const field = FIELDS.find((name) => name === member);
  if (member === 'reportOnly') return REPORT_ONLY;
  return list?.title ?? (field ? LABELS[field] : member);
}

function partsOf(lists: readonly AllowlistMeta[]): readonly Part[] {
  return [
    ...FIELDS.map((name) => ({
      name,
      label: LABELS[name],
      of: (key: ShownKey) => key[name],
      tell: (key: ShownKey) => tellField(key[name]),
    })),
    {
      name: 'secrets',
      label: 'Secrets',
      of: ({ secrets }) => secrets,
      tell: ({ secrets }) => count(secrets.length, 'secret'),
    },
    {
      name: 'reportOnly',
      label: REPORT_ONLY,
      of: ({ reportOnly }) => reportOnly,
      tell: ({ reportOnly }) => reportOnly.map((type) => labelOf(`allowlists.${type}`, lists)).join(', ') || '(none)',
    },
    ...lists.map(({ type, title }) => ({
      name: type,
      label: title,
      of: ({ allowlists }: ShownKey) => allowlists[type],
      tell: ({ allowlists }: ShownKey) => allowlists[type].join(', ') || '(none)',
    })),
  ];
}

function tellField(value: string | boolean | KeyLimits | undefined): string {
  if (typeof value === 'object' || value === undefined) return limitWords(value);
  if (typeof value === 'string') return value === '' ? '(none)' : value;
  return value ? 'on' : 'off';
}

/** The parts of a key's settings in which two states of a key differ, or that `changes` is about, each told in words. */
export function differences(
  before: ShownKey,
  theirs: ShownKey,
  changes: FieldChanges,
  lists: readonly AllowlistMeta[],
): readonly Difference[] {
  const yours = edited(before, changes);
  return partsOf(lists)
    .map(({ name, label, of, tell }) => ({
      name,
      label,
      before: tell(before),
      theirs: tell(theirs),
      isTheirs: isDifferent(of(before), of(theirs)),
      yours: name in changes ? tell(yours) : undefined,
    }))
    .filter((part) => part.isTheirs || part.yours !== undefined);
}

/** A key with what is changed of it. */
export function edited(key: ShownKey, changes: FieldChanges): ShownKey {
  const { limits, ...others } = { ...key, ...changes };
  return { ...others, ...(limits && { limits }) } as ShownKey;
}

export function isDifferent(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) !== JSON.stringify(other);
}
