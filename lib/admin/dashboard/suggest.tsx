import type { TargetedSubmitEvent } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Proposal } from '../../keys/proposal';
import type { AllowlistType } from '../../settings/key-settings';
import { ApiError, api, isAbort } from './api';
import { Dialog, DialogFooter } from './dialog';
import { useLists } from './lists';
import { Notice } from './notice';
import type { PanelProps } from './panel-props';
import { Problem } from './problem';
import { Segments } from './segments';
import { SuggestedList } from './suggested-list';
import { chosenOf, effectOf, tickId } from './ticks';
import type { Ticks } from './ticks';
import { say } from './toast';
import { useAction } from './use-action';
import { count, number, percent } from './words';

type SuggestProps = Pick<PanelProps, 'settings' | 'setSettings' | 'meta'>;

const RANGES = [
  { value: '7d', label: '7 d' },
  { value: '30d', label: '30 d' },
  { value: '90d', label: '90 d' },
];

export function Suggest(props: SuggestProps) {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <>
      <button type="button" class="quiet" onClick={() => setIsOpen(true)}>
        Suggest from traffic
      </button>
      {isOpen && <SuggestDialog {...props} onClose={() => setIsOpen(false)} />}
    </>
  );
}

interface SuggestDialogProps extends SuggestProps {
  readonly onClose: () => void;
}

/** Lists proposed from the calls that were allowed, to choose from. */
function SuggestDialog(props: SuggestDialogProps) {
  const lists = useLists();
  const { settings, meta, onClose } = props;
  const choice = useChoice(props);
  const { proposal, error, retry, present, chosen, added, ticks, reportOnly, adding } = choice;
  const fits = chosen.every(({ type, entries }) => present[type].length + entries.length <= meta.maxEntries);

  function onSubmit(event: TargetedSubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    if (added > 0 && fits) void adding.run();
  }

  return (
    <Dialog title="Suggest from traffic" wide onClose={onClose}>
      <form onSubmit={onSubmit}>
        <Asked {...choice} secrets={settings.secrets} />
        <Problem error={error} retry={retry} />
        {!proposal && !error && (
          <p class="empty" aria-busy="true">
            Looking at the traffic
          </p>
        )}
        {proposal && (
          <>
            <Traffic proposal={proposal} />
            {lists.map((list) => (
              <SuggestedList
                key={list.type}
                list={list}
                proposed={proposal.lists[list.type]}
                listed={present[list.type].length}
                isReporting={settings.reportOnly.includes(list.type)}
                max={meta.maxEntries}
                ticks={ticks}
                onTick={(entry, is) => choice.onTick(list.type, entry, is)}
              />
            ))}
            <How reportOnly={reportOnly} onReportOnly={choice.setReportOnly} />
            <Together proposal={proposal} chosen={chosen} added={added} reportOnly={reportOnly} />
          </>
        )}
        <Problem error={adding.error} />
        <DialogFooter
          yes={added === 0 ? 'Add' : `Add ${count(added, 'entry', 'entries')}`}
          isDisabled={added === 0 || !fits}
          isBusy={adding.isBusy}
          onNo={onClose}
        />
      </form>
    </Dialog>
  );
}

/** What is asked for and chosen, and adding it. */
function useChoice({ settings, setSettings, onClose }: SuggestDialogProps) {
  const lists = useLists();
  const [since, setSince] = useState('7d');
  const [secretId, setSecretId] = useState('');
  const [ticks, setTicks] = useState<Ticks>(new Map());
  const [reportOnly, setReportOnly] = useState(true);
  const asked = useProposal(settings, since, secretId);
  const { proposal } = asked;
  const present = settings.secrets.find(({ id }) => id === secretId)?.allowlists ?? settings.allowlists;
  const chosen = lists.map(({ type }) => ({
    type,
    entries: proposal === undefined ? [] : chosenOf(type, proposal.lists[type], ticks),
  }));
  const added = chosen.reduce((sum, { entries }) => sum + entries.length, 0);

  const adding = useAction(async () => {
    const named = chosen.filter(({ entries }) => entries.length > 0);
    const accepted = {
      lists: Object.fromEntries(named.map(({ type, entries }) => [type, entries.map(({ entry }) => entry)])),
      reportOnly,
      ...(secretId !== '' && { secretId }),
      expectedVersion: settings.version,
    };
    try {
      setSettings((await api.applyProposal(settings.apiKey, accepted)).key);
    } catch (failed) {
      if (failed instanceof ApiError && failed.current) setSettings(failed.current); // and it is proposed anew
      throw failed;
    }
    say(`${count(added, 'entry', 'entries')} added`);
    onClose();
  });

  const onTick = (type: AllowlistType, entry: string, is: boolean) =>
    setTicks(new Map([...ticks, [tickId(type, entry), is]]));

  return {
    ...asked,
    ...{ since, setSince, secretId, setSecretId, ticks, onTick, reportOnly, setReportOnly },
    ...{ present, chosen, added, adding },
  };
}

interface AskedProps {
  readonly since: string;
  readonly setSince: (since: string) => void;
  readonly secretId: string;
  readonly setSecretId: (id: string) => void;
  readonly secrets: PanelProps['settings']['secrets'];
}

/** How far back, and for whose lists. */
function Asked({ since, setSince, secretId, setSecretId, secrets }: AskedProps) {
  const own = secrets.filter(({ allowlists }) => allowlists !== undefined);
  return (
    <div class="title">
      <Segments legend="How far back" name="suggest-since" options={RANGES} value={since} onChange={setSince} />
      {own.length > 0 && (
        <select aria-label="Whose lists" value={secretId} onChange={(event) => setSecretId(event.currentTarget.value)}>
          <option value="">The key’s lists</option>
          {own.map(({ id, label, hint }) => (
            <option key={id} value={id}>
              Lists of the secret {label || `${hint}…`}
            </option>
          ))}
        </select>
      )}
    </div>
  );
}

function useProposal({ apiKey, version }: PanelProps['settings'], since: string, secretId: string) {
  const [proposal, setProposal] = useState<Proposal>();
  const [error, setError] = useState<Error>();
  const [tries, setTries] = useState(0);

  useEffect(() => {
    const abort = new AbortController();
    setProposal(undefined);
    setError(undefined);
    api.proposal(apiKey, { since, secretId }, abort.signal).then(
      (answer) => setProposal(answer.proposal),
      (failed: unknown) => {
        if (!isAbort(failed)) setError(failed instanceof Error ? failed : new Error(String(failed)));
      },
    );
    return () => abort.abort();
  }, [apiKey, version, since, secretId, tries]);

  return { proposal, error, retry: () => setTries(tries + 1) };
}

function Traffic({ proposal: { calls, days, notes } }: { readonly proposal: Proposal }) {
  return (
    <>
      <p>
        <strong>{number(calls)}</strong> allowed calls in {count(days, 'day')}. Rare and new names are unticked: they
        may be somebody’s who misuses the key.
      </p>
      {notes.length > 0 && (
        <Notice>
          {notes.map((note) => (
            <p key={note}>{note}</p>
          ))}
        </Notice>
      )}
    </>
  );
}

interface HowProps {
  readonly reportOnly: boolean;
  readonly onReportOnly: (reportOnly: boolean) => void;
}

function How({ reportOnly, onReportOnly }: HowProps) {
  return (
    <fieldset class="how">
      <legend>How to add</legend>
      <label class="choice">
        <input type="radio" name="suggest-how" checked={reportOnly} onChange={() => onReportOnly(true)} />
        Report only: lists that have no entries yet refuse nothing, and show what they would
      </label>
      <label class="choice">
        <input type="radio" name="suggest-how" checked={!reportOnly} onChange={() => onReportOnly(false)} />
        Enforce: every list with a tick refuses at once, those that only report too
      </label>
    </fieldset>
  );
}

interface TogetherProps {
  readonly proposal: Proposal;
  readonly chosen: readonly { readonly type: AllowlistType; readonly entries: ReturnType<typeof chosenOf> }[];
  readonly added: number;
  readonly reportOnly: boolean;
}

function Together({ proposal, chosen, added, reportOnly }: TogetherProps) {
  const refused = chosen
    .filter(({ entries }) => entries.length > 0)
    .reduce((sum, { type, entries }) => sum + effectOf(proposal.lists[type], entries).calls, 0);
  const share = proposal.calls === 0 ? 0 : Math.min(1, refused / proposal.calls);
  return (
    <div role="status">
      {added === 0 ? (
        <Notice warn>
          <p>Nothing is ticked: nothing would be added, and lists without entries let everything pass.</p>
        </Notice>
      ) : (
        <Notice warn={!reportOnly && share > 0}>
          <p>
            Together, these lists would have refused at most {percent(share)} of the calls. Counts of one list know
            nothing of the others: let the lists only report to know exactly.
          </p>
        </Notice>
      )}
    </div>
  );
}
