import { METHOD_ROWS } from '../allowlists/address-table';
import { methods } from '../allowlists/methods';
import type { CheckedCall } from './check';
import { refuse } from './refusals';
import type { Refusal } from './refusals';
import { passed, refused } from './trace';
import type { Tracer } from './trace';

/** Compared without regard to case: an upstream that folds names would run `Admin_addPeer`. */
export function compileBlockedMethods(entries: readonly string[]): (method: string) => boolean {
  const matches = methods.compile(entries.map((entry) => entry.toLowerCase()));
  const ofKnown = new Map(METHOD_ROWS.map(([method]) => [method, matches(method.toLowerCase())]));
  return (method) => ofKnown.get(method) ?? matches(method.toLowerCase());
}

/** Step 3, before the key's own list: the methods that the operator blocks for all keys, secret or not. */
export function checkBlockedMethods(
  _lists: unknown,
  { call: { method }, rules }: CheckedCall,
  trace?: Tracer,
): Refusal | undefined {
  if (!rules.isBlocked(method)) {
    trace?.(passed('blockedMethods', 'not blocked'));
    return undefined;
  }
  const refusal = refuse('METHOD_BLOCKED', { message: `the method ${method} does not exist/is not available` });
  trace?.(refused('blockedMethods', refusal, 'blocked for every key', decidingEntry(rules.blockedMethods, method)));
  return refusal;
}

function decidingEntry(entries: readonly string[], method: string): string | null {
  return entries.find((entry) => compileBlockedMethods([entry])(method)) ?? null;
}
