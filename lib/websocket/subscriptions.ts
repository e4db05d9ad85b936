import { isDeepStrictEqual } from 'node:util';
import { parseCalls, serialiseCall } from '../json-rpc/call';
import type { RpcCall } from '../json-rpc/call';
import { ownText } from '../own-text';
import { checkCall } from '../policy/authorize';
import type { Admission } from '../policy/authorize';
import type { CallRules } from '../policy/check';
import { refuse } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';

const SUBSCRIBES = '_subscribe';
/** Characters of calls that are remembered per socket. */
const MAX_CHARACTERS = 256 * 1024;

/** The calls that opened subscriptions on one socket: a subscription must not outlive a change of the lists. */
export class Subscriptions {
  private readonly calls = new Map<string, RpcCall>();
  private characters = 0;
  private isFull = false;
  private heldAgainst: Admission | undefined;

  /** Remembers the calls that subscribe, and the admission that allowed them. */
  add(calls: readonly RpcCall[], admission: Admission): void {
    for (const { method, params } of calls) {
      if (!method.endsWith(SUBSCRIBES)) continue;
      this.heldAgainst ??= admission;
      const text = serialiseCall({ id: undefined, method, params });
      if (this.calls.has(text)) continue;
      this.isFull ||= this.characters + text.length > MAX_CHARACTERS;
      if (this.isFull) continue;
      this.characters += text.length;
      // Read anew from a copy: parts of the message, which blanks make longer, would keep all of it in memory.
      const copy = ownText(text);
      const read = parseCalls(copy, 1);
      if (read.ok) this.calls.set(copy, read.calls[0] as RpcCall);
    }
  }

  /** The first refusal by lists that have changed since. */
  refusedBy(admission: Admission, rules: CallRules): Refusal | undefined {
    const last = this.heldAgainst;
    if (last === undefined || last.key === admission.key) return undefined;
    this.heldAgainst = admission;
    // The cache creates a new object each time it reads the same settings.
    if (isDeepStrictEqual(last.key.settings, admission.key.settings)) return undefined;
    for (const call of this.calls.values()) {
      const refusal = checkCall(admission, call, rules);
      if (refusal !== undefined) return refusal;
    }
    const why = 'the settings changed, and its subscriptions are too many to be held against them';
    return this.isFull ? refuse('METHOD_NOT_ALLOWED', { why }) : undefined;
  }
}
