import { ALLOWLISTS } from '../allowlists';
import type { Allowlist } from '../allowlists/allowlist';
import { ALLOWLIST_TYPES } from '../settings/key-settings';
import type { AllowlistType } from '../settings/key-settings';

/** What the page says of one type of list. */
export interface AllowlistMeta extends Pick<
  Allowlist,
  'phase' | 'title' | 'one' | 'many' | 'field' | 'help' | 'first' | 'examples' | 'sample'
> {
  readonly type: AllowlistType;
}

export function allowlistMeta(): readonly AllowlistMeta[] {
  return ALLOWLIST_TYPES.map((type) => {
    const { phase, title, one, many, field, help, first, examples, sample } = ALLOWLISTS[type];
    return { type, phase, title, one, many, field, help, first, examples, sample };
  });
}
