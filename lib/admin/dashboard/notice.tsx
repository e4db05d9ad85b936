import type { ComponentChildren } from 'preact';
import type { ShownKey } from '../api';
import type { Warning as KeyWarning } from '../../keys/warnings';
import { Info, Warning } from './icons';

/** What follows from the settings as they are meant: to know, and nothing to mend. */
const NOTES: readonly KeyWarning['code'][] = ['ORIGIN_NEEDED', 'BURST_BELOW_PAGE'];

/** Whether a warning is of something that may be wrong. */
export function isGrave({ code }: Pick<KeyWarning, 'code'>): boolean {
  return !NOTES.includes(code);
}

interface NoticeProps {
  readonly warn?: boolean;
  readonly children: ComponentChildren;
}

/** Something to know before going on. */
export function Notice({ warn = false, children }: NoticeProps) {
  return (
    <div class={warn ? 'notice warn' : 'notice'}>
      {warn ? <Warning /> : <Info />}
      <div>{children}</div>
    </div>
  );
}

interface WarningsProps {
  readonly settings: ShownKey;
  /** What they are about; all of the key's without it. */
  readonly at?: KeyWarning['at'];
}

/** What the server finds odd about a key, in the place it is about. */
export function Warnings({ settings, at }: WarningsProps) {
  return (
    <>
      {settings.warnings
        .filter((warning) => at === undefined || warning.at === at)
        .map((warning) => (
          <Notice key={warning.message} warn={isGrave(warning)}>
            <p>{warning.message}</p>
          </Notice>
        ))}
    </>
  );
}
