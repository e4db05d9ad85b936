import { isUtf8 } from 'node:buffer';
import { WebSocket } from 'ws';
import { serialiseBatch } from '../json-rpc/call';
import type { RpcCall } from '../json-rpc/call';
import { parseTurns } from '../json-rpc/parse-turn';
import { hasLimits, isWaiting } from '../limits/limit-calls';
import type { CallLimits } from '../limits/limit-calls';
import { Occurrence } from '../observe/request-event';
import type { Observe } from '../observe/request-event';
import { isShort } from '../observe/upstream-code';
import type { ParsedOptions } from '../options/options';
import { READMIT_AFTER_MS, admitTo } from '../policy/authorize';
import type { Admission } from '../policy/authorize';
import { exchangeMixed, refuseAllowed, refuseEach } from '../policy/batch-exchanges';
import { judgeAgain, judgeBody, noLongerAllowed, serialiseAllowed } from '../policy/evaluate-body';
import type { JudgedCalls } from '../policy/evaluate-body';
import { isRefusal, refusalReply, refuse } from '../policy/refusals';
import type { Reason, Refusal, ReplyOptions } from '../policy/refusals';
import { whenKnown } from '../policy/value-or-promise';
import type { ValueOrPromise } from '../policy/value-or-promise';
import type { RequestFacts } from '../request/request-facts';
import { keyHint } from '../settings/api-key';
import type { Lookup, SettingsCache } from '../stores/settings-cache';
import { sendToCaller, sendToUpstream } from './send-message';
import { Heartbeat } from './heartbeat';
import { MAX_WAITING_BYTES, MessageQueue } from './message-queue';
import type { Message } from './message-queue';
import type { SocketEnd } from './open-upstream';
import { PendingBatches } from './pending-batches';
import { Subscriptions } from './subscriptions';

/** What all sessions of a guard share. */
export interface SessionParts {
  readonly options: ParsedOptions;
  readonly store: Pick<SettingsCache, 'get'>;
  readonly limits: CallLimits;
  readonly observe: Observe;
}

/** A message that has been charged, or refused by limits. */
interface Charged {
  readonly admission: Admission | Refusal;
  readonly judged: JudgedCalls | Refusal;
}

/** Batches of one socket that may wait for their answers at once. */
const MAX_BATCHES = 16;
/** Close codes that a socket reports and that are never sent. */
const NO_STATUS = 1005;
const ABNORMAL = 1006;

/**
 * A caller's socket and the upstream's, one for one: passes messages both ways, the caller's when they are allowed, the
 * upstream's as they come.
 */
export class Session {
  private readonly client: WebSocket;
  private readonly upstream: WebSocket;
  private readonly batches: PendingBatches;
  private readonly heartbeat = new Heartbeat();
  private readonly messages: MessageQueue;
  private readonly subscriptions = new Subscriptions();
  private readonly replyOptions: ReplyOptions;
  /** Batches that are not answered yet: 16 at most. */
  private readonly unanswered = new Set<Occurrence>();
  private hasEnded = false;
  private admission: Admission | undefined;

  constructor(
    private readonly parts: SessionParts,
    private readonly facts: RequestFacts,
    private readonly clientEnd: SocketEnd,
    private readonly upstreamEnd: SocketEnd,
  ) {
    const { upstreamTimeoutMs, exposeReason } = parts.options;
    this.replyOptions = { requestId: facts.requestId, exposeReason };
    this.client = clientEnd.socket;
    this.upstream = upstreamEnd.socket;
    this.batches = new PendingBatches(upstreamTimeoutMs, () => {
      this.closeFor('UPSTREAM_TIMEOUT', 1011);
    });
    this.messages = new MessageQueue(this.client, {
      mayTake: () => this.hasRoom(),
      take: (message) => this.take(message),
      fail: this.fail,
    });
    this.listen();
    this.connect(clientEnd);
    this.connect(upstreamEnd);
    this.upstream.resume();
  }

  /** Closes the sockets if the key's settings now refuse them, or a subscription opened on them. */
  recheck(): void {
    Promise.resolve(this.parts.store.get(this.facts.apiKey))
      .then((key) => this.admitted(key))
      .then((admission) => {
        const { options } = this.parts;
        const refusal = isRefusal(admission) ? admission : this.subscriptions.refusedBy(admission, options);
        if (refusal !== undefined) this.refuse(refusal);
      })
      .catch(this.fail);
  }

  /** Closes the sockets for a fault that no single message caused. */
  readonly refuse = (refusal: Refusal, code?: number): void => {
    if (this.client.readyState !== WebSocket.OPEN) return;
    const occurrence = new Occurrence(this.facts, 'webSocket', performance.now());
    occurrence.admission = this.admission;
    occurrence.judged = refusal;
    this.parts.observe(occurrence);
    this.closeFor(refusal.refused, code);
  };

  /** Cuts a socket off that has been silent since the last beat. */
  beat(): void {
    this.heartbeat.beat();
  }

  close(code: number, reason = ''): void {
    this.hasEnded = true;
    closeSocket(this.client, code, reason);
    closeSocket(this.upstream, 1001);
  }

  private listen(): void {
    const { client, upstream } = this;
    client.on('message', (data: Buffer, isBinary) => {
      this.heartbeat.heard(client);
      this.messages.push({ data, isBinary });
    });
    upstream.on('message', (data: Buffer, isBinary) => {
      this.heartbeat.heard(upstream);
      if (this.batches.take(data)) return;
      this.send(data, isBinary);
      if (client.bufferedAmount > MAX_WAITING_BYTES) upstream.pause();
    });
    client.on('error', () => undefined);
    upstream.on('error', (error: NodeJS.ErrnoException) => {
      if (client.readyState !== WebSocket.OPEN) return;
      const { apiKey, requestId } = this.facts;
      const fields = { key: keyHint(apiKey), requestId, why: error.code ?? error.message };
      this.parts.options.logger.warn(fields, 'the upstream socket failed');
    });
    client.on('close', (code, reason) => {
      this.forgetBatches(undefined);
      if (code === ABNORMAL) closeSocket(upstream, 1001);
      else closeSocket(upstream, code, reason);
    });
    upstream.on('close', (code, reason) => {
      this.forgetBatches(refuse('UPSTREAM_UNAVAILABLE', { why: `its socket closed with ${String(code)}` }));
      if (code === ABNORMAL) this.closeFor('UPSTREAM_UNAVAILABLE', 1011);
      else closeSocket(client, code, reason);
    });
  }

  private connect({ socket, connection }: SocketEnd): void {
    this.heartbeat.watch(socket, connection);
    connection.on('drain', () => {
      if (socket === this.client && this.upstream.isPaused) this.upstream.resume();
      this.messages.work();
    });
  }

  private hasRoom(): boolean {
    const { client, upstream } = this;
    if (upstream.readyState !== WebSocket.OPEN) return false;
    const waitingToBeRead = Math.max(client.bufferedAmount, upstream.bufferedAmount);
    return waitingToBeRead <= MAX_WAITING_BYTES && this.unanswered.size < MAX_BATCHES;
  }

  private take(message: Message): ValueOrPromise<void> {
    if (this.hasEnded) return undefined; // what the caller sent just before it closed is still handed out
    return whenKnown(this.admittedNow(), (known) =>
      parseTurns.run(this.facts.apiKey, message.data.length, () => {
        // While it waited for its turn, `recheck` may have found other settings.
        const admission = isRefusal(known) ? known : (this.admission ?? known);
        return this.hasEnded ? undefined : this.handle(message, admission);
      }),
    );
  }

  private handle({ data, isBinary }: Message, admission: Admission | Refusal): ValueOrPromise<void> {
    if (isBinary && !isUtf8(data)) {
      this.close(1007);
      return undefined;
    }
    const { options, observe } = this.parts;
    const message = new Occurrence(this.facts, 'webSocket', performance.now());
    message.bytesIn = data.length;
    const judged = isRefusal(admission) ? admission : judgeBody(data, options.maxBatchSize, admission, options);
    message.decidedAt = performance.now();
    if (isRefusal(admission) || isRefusal(judged) || !hasLimits(admission)) {
      this.settle(message, { admission, judged });
      return undefined;
    }
    return whenKnown(this.charge(message, admission, judged), (charged) => {
      if (charged !== undefined) {
        this.settle(message, charged);
        return;
      }
      message.admission = admission;
      message.judged = judged;
      message.aborted = true;
      observe(message);
    });
  }

  /** Charges the calls. The caller is not read from while a charge waits. */
  private charge(message: Occurrence, admission: Admission, judged: JudgedCalls): ValueOrPromise<Charged | undefined> {
    const { limits, options } = this.parts;
    const charged = limits.charge({ facts: this.facts, admission, judged, bytes: message.bytesIn });
    if (!isWaiting(charged)) return { admission, judged: charged };
    const { outcome, leave } = charged;
    this.client.pause();
    this.client.once('close', leave);
    return outcome.then((known) => {
      this.client.off('close', leave);
      message.limitWaitMs = message.waitMs = performance.now() - message.decidedAt;
      if (this.isOver) return this.undo(message, admission, known);
      if (message.waitMs < READMIT_AFTER_MS) return { admission, judged: known };
      return whenKnown(this.admittedNow(), (anew) => {
        if (this.isOver) return this.undo(message, admission, known);
        const again = isRefusal(anew) ? anew : judgeAgain(known, anew, options);
        limits.giveBack(this.facts, admission, noLongerAllowed(known, again));
        return { admission: anew, judged: again };
      });
    });
  }

  /** Whether nothing can be sent any more, or answered. */
  private get isOver(): boolean {
    return this.hasEnded || this.client.readyState !== WebSocket.OPEN;
  }

  /** What was charged is not sent, because the caller has left or was sent away. */
  private undo(message: Occurrence, admission: Admission, { allowed }: JudgedCalls): undefined {
    const { limits, options } = this.parts;
    if (!limits.giveBack(this.facts, admission, allowed, true)) message.credits = options.prices.costOf(allowed);
  }

  /** A single call is over with its hand-off: which answer of the upstream belongs to it is not tracked. */
  private settle(message: Occurrence, { admission, judged }: Charged): void {
    message.judged = judged;
    if (isRefusal(admission)) this.closeFor(admission.refused);
    else {
      message.admission = admission;
      if (isRefusal(judged)) this.answer(message, refusalReply(judged, undefined, this.replyOptions));
      else if (judged.limited !== undefined) this.answer(message, refuseEach(judged, this.replyOptions));
      else if (this.passOn(message, admission, judged)) return;
    }
    this.parts.observe(message);
  }

  /** @returns whether the message is a batch, and over only when it is answered. */
  private passOn(message: Occurrence, admission: Admission, judged: JudgedCalls): boolean {
    const { prices, upstream } = this.parts.options;
    const { batch, allowed } = judged;
    this.subscriptions.add(allowed, admission);
    message.credits = prices.costOf(allowed);
    if (allowed.length > 0) message.upstream = upstream.host;
    if (batch) this.passBatch(message, judged);
    else if (allowed.length > 0) this.forward(serialiseAllowed(judged));
    else this.answer(message, refuseEach(judged, this.replyOptions));
    return batch;
  }

  private answer(message: Occurrence, answer: Buffer | string): void {
    message.bytesOut = Buffer.byteLength(answer);
    this.send(answer);
  }

  private admittedNow(): ValueOrPromise<Admission | Refusal> {
    return whenKnown(this.parts.store.get(this.facts.apiKey), (key) => this.admitted(key));
  }

  /** Decides anew if the settings differ from those for the last message, or the secret has expired since. */
  private admitted(key: Lookup): ValueOrPromise<Admission | Refusal> {
    const last = this.admission;
    if (last?.key === key && Date.now() < (last.credential?.expiresAtMs ?? Infinity)) return last;
    return whenKnown(admitTo(key, this.facts), (admission) => {
      this.admission = isRefusal(admission) ? undefined : admission;
      return admission;
    });
  }

  /** A batch of which nothing is refused gets the upstream's own answer, any other a merged one. */
  private passBatch(message: Occurrence, judged: JudgedCalls): void {
    const sentAt = performance.now();
    const done = (answer: Buffer | string): void => {
      this.answer(message, answer);
      if (!this.unanswered.delete(message)) return;
      if (message.upstream !== undefined) message.upstreamMs = performance.now() - sentAt;
      this.parts.observe(message);
      this.messages.work();
    };
    const noteAnswer = (answer: Buffer | Refusal): void => {
      if (!isRefusal(answer) && isShort(answer.length)) message.answered ??= answer;
    };
    this.unanswered.add(message);
    if (judged.allowed.length < judged.calls.length) {
      exchangeMixed(
        judged,
        (calls, answered) => {
          this.exchange(calls, serialiseBatch(calls), (answer) => {
            noteAnswer(answer);
            answered(this.withinBound(answer));
          });
        },
        this.replyOptions,
        ({ json, lack }) => {
          if (lack !== undefined) this.noteFailure(message, lack);
          done(json);
        },
      );
      return;
    }
    this.exchange(judged.allowed, serialiseAllowed(judged), (answer) => {
      noteAnswer(answer);
      if (isRefusal(answer)) this.noteFailure(message, answer);
      done(isRefusal(answer) ? refuseAllowed(judged, answer, this.replyOptions) : answer);
    });
  }

  /** A merged answer has the same bound as over HTTP. */
  private withinBound(answer: Buffer | Refusal): Buffer | Refusal {
    const isTooLarge = !isRefusal(answer) && answer.length > this.parts.options.maxMergedBytes;
    return isTooLarge ? refuse('UPSTREAM_UNAVAILABLE', { why: 'its answer is too large' }) : answer;
  }

  /** Their sockets have closed: nobody is left to be answered, or to answer. */
  private forgetBatches(failure: Refusal | undefined): void {
    this.batches.close();
    for (const message of this.unanswered) {
      message.failure = failure;
      message.aborted = failure === undefined;
      this.parts.observe(message);
    }
    this.unanswered.clear();
  }

  private noteFailure(message: Occurrence, failure: Refusal): void {
    message.failure = failure;
    const { refused: reason, why } = failure;
    const { apiKey, requestId } = this.facts;
    this.parts.options.logger.warn({ key: keyHint(apiKey), requestId, reason, why }, 'no answer from the upstream');
  }

  /** Sends a batch, written as `body`, to the upstream. For a batch of notifications no answer is awaited. */
  private exchange(calls: readonly RpcCall[], body: string | Buffer, done: (answer: Buffer | Refusal) => void): void {
    const ids = new Set(calls.map(({ id }) => id).filter((id) => id !== undefined));
    const send = (): void => {
      this.forward(body);
    };
    if (ids.size > 0) {
      this.batches.exchange(ids, send, done);
      return;
    }
    send();
    done(Buffer.alloc(0));
  }

  private send(answer: Buffer | string, isBinary = false): void {
    if (answer.length > 0 && this.client.readyState === WebSocket.OPEN) sendToCaller(this.clientEnd, answer, isBinary);
  }

  private forward(calls: string | Buffer): void {
    if (this.upstream.readyState === WebSocket.OPEN) sendToUpstream(this.upstreamEnd, calls);
  }

  /** An unexpected error must not leave a socket open. */
  private readonly fail = (): void => {
    this.close(1011);
  };

  private closeFor(reason: Reason, code = reason === 'SETTINGS_UNAVAILABLE' ? 1013 : 1008): void {
    this.close(code, this.parts.options.exposeReason ? reason : '');
  }
}

function closeSocket(socket: WebSocket, code: number, reason: Buffer | string = ''): void {
  socket.resume(); // else the other side's close frame is never read
  if (code === NO_STATUS) socket.close();
  else socket.close(code, reason);
}
