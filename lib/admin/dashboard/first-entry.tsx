import type { ShownKey } from '../api';
import type { AllowlistMeta } from '../allowlist-meta';
import { Notice } from './notice';

interface FirstEntryProps {
  readonly list: AllowlistMeta;
  readonly settings: ShownKey;
}

/** What it means that a list gets its first entry. */
export function FirstEntry({ list, settings }: FirstEntryProps) {
  if (settings.allowlists[list.type].length > 0) return null;
  const exception = settings.overrideAllowlists
    ? 'Requests with a valid secret pass all the same, as “Override allowlists” is on.'
    : 'That holds for requests with a secret too, as “Override allowlists” is off.';
  return (
    <Notice>
      <p>
        <strong>The first entry puts this list in force.</strong> {list.first} {exception}
      </p>
    </Notice>
  );
}
