import type { ProposedEntry, ProposedList } from '../../keys/proposal';
import type { AllowlistMeta } from '../allowlist-meta';
import { Notice } from './notice';
import { chosenOf, effectOf, isTicked } from './ticks';
import type { Effect, Ticks } from './ticks';
import { Time } from './time';
import { count, number, percent } from './words';

interface SuggestedListProps {
  readonly list: AllowlistMeta;
  readonly proposed: ProposedList;
  /** Entries that are on the list already. */
  readonly listed: number;
  readonly isReporting: boolean;
  readonly max: number;
  readonly ticks: Ticks;
  readonly onTick: (entry: string, isTicked: boolean) => void;
}

const NAMES_SHOWN = 5;
const WORDS: Readonly<Record<string, string>> = {
  '(none)': 'calls that say none',
  '(malformed)': 'malformed ones',
  '(unknown)': 'methods that the guard does not know',
  '(other)': 'rare ones, together',
};

/** What is proposed for one list, and what it would refuse with what is ticked. */
export function SuggestedList({ list, proposed, listed, isReporting, max, ticks, onTick }: SuggestedListProps) {
  const { type, title, one, many } = list;
  const { entries, refused, calls } = proposed;
  const chosen = chosenOf(type, proposed, ticks);
  const needless = new Set(chosen.flatMap(({ covers }) => covers));
  const spare = max - listed;
  return (
    <fieldset class="suggested">
      <legend>{title}</legend>
      <p class="hint">{stateOf(listed, isReporting, count(listed, one, many))}</p>
      {entries.length === 0 && <p class="empty">Nothing to propose.</p>}
      <ul>
        {entries.map((entry) => (
          <Entry
            key={entry.entry}
            proposed={entry}
            isTicked={isTicked(ticks, type, entry)}
            isNeedless={needless.has(entry.entry)}
            onTick={(is) => onTick(entry.entry, is)}
          />
        ))}
      </ul>
      {chosen.length > spare && (
        <Notice warn>
          <p>
            A list has up to {max} entries: untick {chosen.length - spare}.
          </p>
        </Notice>
      )}
      {chosen.length > 0 && <Preview effect={effectOf(proposed, chosen)} calls={calls} />}
      {chosen.length === 0 && entries.length > 0 && <p class="hint">Nothing is ticked: the list stays as it is.</p>}
      {refused.length > 0 && (
        <details>
          <summary>Refused meanwhile, and not proposed: {refused.length}</summary>
          <ul>
            {refused.map(({ entry, calls: times, lastAt }) => (
              <li key={entry}>
                <code>{entry}</code> <Figures calls={times} lastAt={lastAt} />
              </li>
            ))}
          </ul>
        </details>
      )}
    </fieldset>
  );
}

function stateOf(listed: number, isReporting: boolean, entries: string): string {
  if (listed === 0) return 'Has no entries yet: lets everything pass.';
  return `${isReporting ? 'Only reports.' : 'Refuses already, and goes on to.'} What you add joins its ${entries}.`;
}

interface EntryProps {
  readonly proposed: ProposedEntry;
  readonly isTicked: boolean;
  readonly isNeedless: boolean;
  readonly onTick: (isTicked: boolean) => void;
}

function Entry({ proposed: { entry, calls, share, lastAt, covers }, isTicked: is, isNeedless, onTick }: EntryProps) {
  return (
    <li>
      <label class="choice">
        <input
          type="checkbox"
          checked={is || isNeedless}
          disabled={isNeedless}
          onChange={(event) => onTick(event.currentTarget.checked)}
        />
        <code>{entry}</code>
      </label>
      <Figures calls={calls} share={share} lastAt={lastAt} />
      {covers.length > 0 && <p class="hint">Covers {covers.join(', ')}, and every other host under it.</p>}
      {isNeedless && <p class="hint">Covered by an entry below.</p>}
    </li>
  );
}

interface FiguresProps {
  readonly calls: number;
  readonly share?: number;
  readonly lastAt: string;
}

function Figures({ calls, share, lastAt }: FiguresProps) {
  return (
    <span class="figures">
      <span>{count(calls, 'call')}</span>
      {share !== undefined && <span>{percent(share)}</span>}
      <span>
        last <Time at={lastAt} />
      </span>
    </span>
  );
}

function Preview({ effect, calls }: { readonly effect: Effect; readonly calls: number }) {
  if (effect.calls === 0) return <p class="good">With what is ticked it would have refused nothing.</p>;
  const shown = effect.names.slice(0, NAMES_SHOWN);
  return (
    <>
      <p>
        With what is ticked it would have refused <strong>{percent(effect.calls / calls)}</strong> (
        {number(effect.calls)} of {number(calls)}):
      </p>
      <ul class="preview">
        {shown.map(({ name, calls: times }) => (
          <li key={name}>
            {WORDS[name] ?? <code>{name}</code>} <span class="quiet-text">{number(times)}</span>
          </li>
        ))}
        {effect.names.length > shown.length && (
          <li class="quiet-text">and {effect.names.length - shown.length} more</li>
        )}
      </ul>
    </>
  );
}
