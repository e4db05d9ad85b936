import { ApiError, api } from './api';
import type { ShownKey } from '../api';
import type { AllowlistMeta } from '../allowlist-meta';
import { useLists } from './lists';
import { Notice } from './notice';
import type { PanelProps } from './panel-props';
import { Problem } from './problem';
import { Part, useReported } from './reported';
import { Switch } from './switch';
import { Time } from './time';
import { say } from './toast';
import { useAction } from './use-action';

interface ReportOnlyProps extends Pick<PanelProps, 'settings' | 'setSettings'> {
  readonly list: AllowlistMeta;
}

/** Whether a list refuses, or only reports. Where no list of the type has entries, it is not asked. */
export function ReportOnly({ list, settings, setSettings }: ReportOnlyProps) {
  const { type, title } = list;
  const isOn = settings.reportOnly.includes(type);
  const since = settings.reportOnlySince?.[type];

  const switching = useAction(async (on: boolean) => {
    const others = settings.reportOnly.filter((other) => other !== type);
    const changes = { version: settings.version, reportOnly: on ? [...others, type] : others };
    try {
      setSettings((await api.updateKey(settings.apiKey, changes)).key);
      say(on ? `${title}: report only` : `${title}: in force`);
    } catch (error) {
      if (error instanceof ApiError && error.current) setSettings(error.current);
      throw error;
    }
  });

  const isOfSecrets = settings.secrets.some(({ allowlists }) => (allowlists?.[type].length ?? 0) > 0);
  if (settings.allowlists[type].length === 0 && !isOfSecrets && !isOn) return null;
  return (
    <>
      <Switch id={`${type}-report-only`} label="Report only" checked={isOn} onChange={(on) => void switching.run(on)}>
        Refuses nothing, shows what it would{isOfSecrets && ': the key’s list, and those of its secrets'}.
        {isOn && since && (
          <>
            {' '}
            Since <Time at={since} />.
          </>
        )}
        {isOn && <Lately list={list} isOnly={settings.reportOnly.length === 1} />}
      </Switch>
      <Problem error={switching.error} />
    </>
  );
}

/** Of a call that several lists would refuse only the first one knows. */
function Lately({ list: { refusal }, isOnly }: { readonly list: AllowlistMeta; readonly isOnly: boolean }) {
  const reported = useReported();
  if (!reported || reported.passed === 0) return null;
  return (
    <>
      {' '}
      It would have {isOnly ? 'refused' : 'been the first to refuse'}{' '}
      <Part of={reported} calls={reported.byReason.get(refusal) ?? 0} />.
    </>
  );
}

/** Shown for as long as a list only reports: it does not protect. */
export function ReportOnlyBanner({ settings: { reportOnly } }: { readonly settings: ShownKey }) {
  const lists = useLists().filter(({ type }) => reportOnly.includes(type));
  const reported = useReported();
  if (lists.length === 0) return null;
  return (
    <Notice warn>
      <p>
        Report only: {lists.map(({ title }) => title).join(', ')}. What{' '}
        {lists.length === 1 ? 'this list' : 'these lists'} would refuse passes
        {reported && reported.passed > 0 && (
          <>
            : <Part of={reported} calls={reported.wouldRefuse} />
          </>
        )}
        .
      </p>
    </Notice>
  );
}
