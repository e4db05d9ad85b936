import { EditForm } from './edit-form';
import type { Field } from './fields';
import { LimitFields } from './limit-fields';
import { LimitPeak } from './limit-peak';
import { LimitUse } from './limit-use';
import { Warnings } from './notice';
import type { PanelProps } from './panel-props';
import { useEdit } from './use-edit';

const FIELDS: readonly Field[] = ['limits'];

/** How much a key may ask, and what is left of it now. */
export function Limits({ settings, setSettings }: PanelProps) {
  const edit = useEdit(settings, setSettings, FIELDS);
  const { base, changes } = edit;
  const { limits = base.limits } = changes;
  return (
    <section class="card" aria-labelledby="limits-title">
      <h2 id="limits-title">Limits</h2>
      <p class="hint">
        How much the key may ask, over HTTP, batches and WebSocket alike. Whoever asks for more waits a moment, or is
        refused.
      </p>
      <Warnings settings={settings} at="limits" />
      {settings.limits && <LimitUse settings={settings} />}
      <LimitPeak apiKey={settings.apiKey} onUse={(wanted) => edit.change('limits', { ...limits, ...wanted })} />
      <EditForm edit={edit} save="Save limits">
        <LimitFields
          prefix="limit"
          limits={limits ?? {}}
          hasAddress
          onChange={(changed) => edit.change('limits', changed)}
        />
      </EditForm>
    </section>
  );
}
