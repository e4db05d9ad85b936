import type { KeyLimits } from '../../settings/limits';
import { grouped } from './limit-words';

const MAX = 1_000_000_000;

interface LimitFieldsProps {
  /** Of the fields' ids: a page may have several of these. */
  readonly prefix: string;
  readonly limits: KeyLimits;
  /** A secret has no limit by address. */
  readonly hasAddress: boolean;
  /** `null`: no limit is left. */
  readonly onChange: (limits: KeyLimits | null) => void;
}

/** Limits as numbers; an empty field is no limit. */
export function LimitFields({ prefix, limits, hasAddress, onChange }: LimitFieldsProps) {
  const { perSecond, burst, perDay, perAddress } = limits;
  const change = (changed: Partial<KeyLimits>) => onChange(tidied({ ...limits, ...changed }));
  return (
    <div class="limit-fields">
      <Amount
        id={`${prefix}-per-second`}
        label="Per second"
        hint="credits gained; a call costs 1 by default"
        value={perSecond}
        onChange={(amount) => change({ perSecond: amount })}
      />
      <Amount
        id={`${prefix}-burst`}
        label="Burst"
        hint="what it may save up and spend at once"
        placeholder={perSecond === undefined ? '' : grouped(2 * perSecond)}
        disabled={perSecond === undefined}
        value={burst}
        onChange={(amount) => change({ burst: amount })}
      />
      <Amount
        id={`${prefix}-per-day`}
        label="Per day"
        hint="from midnight to midnight, UTC"
        value={perDay}
        onChange={(amount) => change({ perDay: amount })}
      />
      {hasAddress && (
        <Amount
          id={`${prefix}-per-address`}
          label="Per second and address"
          hint="for each caller’s address, in each process"
          value={perAddress?.perSecond}
          onChange={(amount) =>
            change({ perAddress: amount === undefined ? undefined : { ...perAddress, perSecond: amount } })
          }
        />
      )}
    </div>
  );
}

/** In one order, without what is empty; `burst` needs `perSecond`. */
function tidied({ perSecond, burst, perDay, perAddress }: KeyLimits): KeyLimits | null {
  const limits = {
    ...(perSecond !== undefined && { perSecond }),
    ...(perSecond !== undefined && burst !== undefined && { burst }),
    ...(perDay !== undefined && { perDay }),
    ...(perAddress !== undefined && { perAddress }),
  };
  return Object.keys(limits).length === 0 ? null : limits;
}

interface AmountProps {
  readonly id: string;
  readonly label: string;
  readonly hint: string;
  readonly placeholder?: string;
  readonly disabled?: boolean;
  readonly value: number | undefined;
  readonly onChange: (amount: number | undefined) => void;
}

function Amount({ id, label, hint, placeholder = 'no limit', disabled = false, value, onChange }: AmountProps) {
  return (
    <div>
      <label for={id}>{label}</label>
      <input
        id={id}
        type="number"
        inputmode="numeric"
        min={1}
        max={MAX}
        step={1}
        autocomplete="off"
        aria-describedby={`${id}-hint`}
        placeholder={placeholder}
        disabled={disabled}
        value={value ?? ''}
        onInput={({ currentTarget: { valueAsNumber: amount } }) => onChange(Number.isNaN(amount) ? undefined : amount)}
      />
      <p class="hint" id={`${id}-hint`}>
        {hint}
      </p>
    </div>
  );
}
