import { errorReply, readBatchAnswer } from '../json-rpc/call';
import type { InvalidCall, ParsedCalls, RpcCall } from '../json-rpc/call';
import type { JudgedCalls } from './evaluate-body';
import { isRefusal, refusalReply, refuse } from './refusals';
import type { Refusal, ReplyOptions } from './refusals';

/**
 * Sends calls to the upstream as one batch, and calls `done` once with its answer (empty where none is owed), or with
 * a refusal in its place. `refused` are those that were not sent, because the key's settings have changed.
 */
export type SendBatch = (
  calls: readonly RpcCall[],
  done: (answer: Buffer | Refusal, refused?: ReadonlyMap<RpcCall, Refusal>) => void,
) => void;

/** The merged answer to a batch. */
export interface MixedAnswer {
  /** JSON text, empty when no response is owed. */
  readonly json: string;
  /** Why calls that were to be forwarded have no response of the upstream. */
  readonly lack: Refusal | undefined;
}

/**
 * Sends the allowed calls of a batch of which something is refused, and calls `done` with the answer that the upstream
 * cannot give alone. Nothing is deferred: where `send` answers at once, so does this. A WebSocket needs that, because
 * an answer has to precede what the upstream sends after it.
 */
export function exchangeMixed(
  judged: JudgedCalls,
  send: SendBatch,
  options: ReplyOptions,
  done: (answer: MixedAnswer) => void,
): void {
  const runs = runsOf(judged.allowed);
  const replies: Replies = new Map();
  let lack: Refusal | undefined;

  function next(index: number): void {
    const run = runs[index];
    if (run === undefined) {
      done({ json: mergeAnswers(judged, replies, options), lack });
      return;
    }
    send(run, (answer, refused) => {
      refused?.forEach((refusal, call) => replies.set(call, refusal));
      const sent = refused === undefined ? run : run.filter((call) => !refused.has(call));
      const refusal = isRefusal(answer) ? answer : addReplies(replies, sent, answer);
      lack ??= refusal;
      if (isRefusal(answer)) runs.slice(index).forEach((unanswered) => fill(replies, unanswered, answer));
      else if (refusal !== undefined) fill(replies, run, refusal);
      next(isRefusal(answer) ? runs.length : index + 1);
    });
  }
  next(0);
}

/** The answer where the upstream gave none to a batch: the refusal for each call that is owed one. */
export function refuseAllowed(judged: JudgedCalls, refusal: Refusal, options: ReplyOptions): string {
  return mergeAnswers(judged, new Map(judged.allowed.map((call) => [call, refusal])), options);
}

/** The answer to a body that is refused before its calls are judged, with their ids as far as they can be read. */
export function refuseUnjudged(read: ParsedCalls, refusal: Refusal, options: ReplyOptions): string {
  if (!read.ok) return refusalReply(refusal, undefined, options);
  const owed = read.calls.filter(isOwed);
  if (!read.batch || owed.length === 0) return refusalReply(refusal, owed[0]?.id, options);
  return `[${owed.map(({ id }) => refusalReply(refusal, id, options)).join(',')}]`;
}

/** The answer to a body of which everything is refused. Empty when none is owed. */
export function refuseEach(judged: JudgedCalls, options: ReplyOptions): string {
  return mergeAnswers(judged, new Map(), options);
}

/**
 * The allowed calls of a batch of which something is refused, in batches to send one after the other. It is one, unless
 * an id repeats: an answer is taken for a call by its id alone, so no two calls with one id may be under way at once.
 */
function runsOf(allowed: readonly RpcCall[]): readonly (readonly RpcCall[])[] {
  const runs: RpcCall[][] = [];
  let ids = new Set<string>();
  for (const call of allowed) {
    const run = runs.at(-1);
    if (run === undefined || (call.id !== undefined && ids.has(call.id))) {
      runs.push([call]);
      ids = new Set();
    } else run.push(call);
    if (call.id !== undefined) ids.add(call.id);
  }
  return runs;
}

/** A call's response as the upstream wrote it, or why there is none. */
type Replies = Map<RpcCall, string | Refusal>;

/**
 * Adds what `answer` holds for the calls of a run. None, or several for one call, are no answer to it.
 * @returns why calls that are owed a response have none.
 */
function addReplies(replies: Replies, run: readonly RpcCall[], answer: Buffer): Refusal | undefined {
  const owed = run.filter(({ id }) => id !== undefined);
  if (owed.length === 0) return undefined;
  const answers = readBatchAnswer(answer);
  if (answers === undefined) return lacking('its answer to a batch is neither an array nor an error');
  const { byId, whole } = answers;
  let count = 0;
  for (const call of owed) {
    const [found, ...others] = byId.get(call.id!) ?? [];
    if (found !== undefined && others.length === 0) replies.set(call, found);
    else if (whole !== undefined) replies.set(call, errorReply(call.id, whole));
    else count++;
  }
  if (count === 0) return undefined;
  return lacking(`its answer to a batch holds not just one for ${String(count)} of ${String(owed.length)} calls`);
}

function lacking(why: string): Refusal {
  return refuse('UPSTREAM_UNAVAILABLE', { why });
}

function fill(replies: Replies, run: readonly RpcCall[], refusal: Refusal): void {
  for (const call of run) {
    if (!replies.has(call)) replies.set(call, refusal);
  }
}

/**
 * The answer that the upstream cannot give alone: one response for each call that is owed one, in the order of the
 * request, in an array if it was a batch.
 * @returns JSON text, empty when no response is owed.
 */
function mergeAnswers(judged: JudgedCalls, replies: Replies, options: ReplyOptions): string {
  const merged = judged.calls.flatMap(({ call, refusal }) => {
    if (refusal !== undefined) return isOwed(call) ? [refusalReply(refusal, call.id, options)] : [];
    if (call.id === undefined) return [];
    const reply = replies.get(call as RpcCall) ?? refuse('UPSTREAM_UNAVAILABLE');
    return typeof reply === 'string' ? [reply] : [refusalReply(reply, call.id, options)];
  });
  if (!judged.batch) return merged[0] ?? '';
  return merged.length === 0 ? '' : `[${merged.join(',')}]`;
}

/** A notification gets no answer; something that is not a call gets one with a null id (JSON-RPC 2.0, section 7). */
function isOwed(call: RpcCall | InvalidCall): boolean {
  return call.id !== undefined || ('invalid' in call && call.invalid === 'request');
}
