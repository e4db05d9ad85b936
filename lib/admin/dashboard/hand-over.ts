/** What one tab of a key leaves for another to begin with. Nothing is added or sent by it. */
export interface HandedOver {
  /** An entry to fill in, by the type of its list. */
  readonly entry?: { readonly type: string; readonly text: string };
  /** A call for the request tester, with headers by name. */
  readonly test?: {
    readonly method: string | undefined;
    readonly params: string;
    readonly headers: Readonly<Record<string, string>>;
  };
}

let handed: HandedOver = {};

export function handOver(what: HandedOver): void {
  handed = what;
}

/** Gives what is there once. */
export function entryFor(type: string): string | undefined {
  const { entry } = handed;
  if (entry?.type !== type) return undefined;
  handed = {};
  return entry.text;
}

export function testToBegin(): HandedOver['test'] {
  const { test } = handed;
  if (test !== undefined) handed = {};
  return test;
}
