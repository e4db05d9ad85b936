import { isDeepStrictEqual } from 'node:util';
import { serialiseCall } from '../json-rpc/call';
import type { RpcCall } from '../json-rpc/call';
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
      const call = { id: undefined, method, params };
      const text = serialiseCall(call);
      if (this.calls.has(text)) continue;
      this.isFull ||= this.characters + text.length > MAX_CHARACTERS;
      if (this.isFull) continue;
      this.characters += text.length;
      this.calls.set(text, call);
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
