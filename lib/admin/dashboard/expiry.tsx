import { fromLocalInput, toLocalInput } from './time';

const DAY_MS = 24 * 60 * 60 * 1000;
const CHOICES = [
  { value: 'never', label: 'Never' },
  { value: '30', label: 'In 30 days' },
  { value: '90', label: 'In 90 days' },
  { value: '365', label: 'In a year' },
  { value: 'at', label: 'At a time of your choice' },
];

export interface Expiry {
  readonly choice: string;
  /** As the field writes it, where the choice is `at`. */
  readonly at: string;
}

export const NEVER: Expiry = { choice: 'never', at: '' };

export function expiryOf(at: string | undefined): Expiry {
  return at === undefined ? NEVER : { choice: 'at', at: toLocalInput(new Date(at)) };
}

/** The instant that an expiry stands for, or `undefined` for never. */
export function expiresAt({ choice, at }: Expiry): string | undefined {
  if (choice === 'never') return undefined;
  return choice === 'at' ? fromLocalInput(at) : new Date(Date.now() + Number(choice) * DAY_MS).toISOString();
}

interface ExpiryFieldProps {
  readonly value: Expiry;
  readonly onChange: (expiry: Expiry) => void;
}

export function ExpiryField({ value, onChange }: ExpiryFieldProps) {
  const tomorrow = toLocalInput(new Date(Date.now() + DAY_MS));
  const onChoice = (choice: string) => onChange({ choice, at: choice === 'at' ? tomorrow : '' });
  return (
    <>
      <label for="expiry">Expires</label>
      <select id="expiry" value={value.choice} onChange={(event) => onChoice(event.currentTarget.value)}>
        {CHOICES.map((choice) => (
          <option key={choice.value} value={choice.value}>
            {choice.label}
          </option>
        ))}
      </select>
      {value.choice === 'at' && (
        <>
          <label for="expiry-at">Time, where you are</label>
          <input
            id="expiry-at"
            type="datetime-local"
            required
            min={toLocalInput(new Date())}
            value={value.at}
            onInput={(event) => onChange({ choice: 'at', at: event.currentTarget.value })}
          />
        </>
      )}
    </>
  );
}
