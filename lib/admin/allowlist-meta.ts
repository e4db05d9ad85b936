import { ALLOWLISTS, ALLOWLIST_TYPES } from '../allowlists';
import type { Allowlist } from '../allowlists/allowlist';
import type { AllowlistType } from '../settings/key-settings';

/** What the page says of one type of list. */
export interface AllowlistMeta extends Pick<
  Allowlist,
  'phase' | 'title' | 'one' | 'many' | 'field' | 'help' | 'first' | 'examples' | 'sample'
> {
  readonly type: AllowlistType;
  /** The reason of what it refuses. */
  readonly refusal: string;
  /** The header that it reads, if it reads one. */
  readonly header?: string;
}

export function allowlistMeta(): readonly AllowlistMeta[] {
  return ALLOWLIST_TYPES.map((type) => {
    const list: Allowlist = ALLOWLISTS[type];
    const { phase, title, one, many, field, help, first, examples, sample } = list;
    const { refusal } = list;
    const header = list.phase === 'request' ? { header: list.header } : {};
    return { type, refusal, phase, title, one, many, field, help, first, examples, sample, ...header };
  });
}
