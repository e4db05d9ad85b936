const TONES = { enabled: 'good', active: 'good', disabled: 'off', expired: 'off', 'expires soon': 'wait' };

export type StateWord = keyof typeof TONES;

/** A state as a word with a colour. */
export function State({ of }: { readonly of: StateWord }) {
  return <span class={`state ${TONES[of]}`}>{of}</span>;
}
