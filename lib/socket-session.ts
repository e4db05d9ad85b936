import { isUtf8 } from 'node:buffer';
import { WebSocket } from 'ws';
import { addReplies, judgeBody, mergeAnswers, runsOf, serialiseAll } from './batch';
import type { JudgedCalls, Replies } from './batch';
import { batchesUnderWay } from './batches-under-way';
import { admit } from './chain';
import type { Reporter } from './decisions';
import { serialiseBatch } from './json-rpc/call';
import type { RpcCall } from './json-rpc/call';
import type { ParsedOptions } from './options';
import { isRefusal, refusalReply } from './refusals';
import type { Reason, Refusal } from './refusals';
import { keyHint } from './request-facts';
import type { RequestFacts } from './request-facts';
import type { CachedStore } from './stores/cached-store';

/** A caller's socket and the upstream's, one for one. */
export interface Session {
  /** Closes the sockets when the key's settings have come to refuse them. */
  recheck(): void;
  /** Closes them when one has been silent since the last ping. */
  ping(): void;
  close(code: number): void;
}

interface Message {
  readonly data: Buffer;
  readonly isBinary: boolean;
}

/** Bytes that may wait in one direction before its sender is read from no more. */
const MAX_WAITING_BYTES = 1024 * 1024;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** Batches of one socket that may wait for their answers at once. */
const MAX_BATCHES = 16;
const OPEN_BRACKET = 0x5b;
const SPACE = 0x20;
/** Codes that are told of a socket and never sent. */
const NO_STATUS = 1005;
const ABNORMAL = 1006;

/** No compression, whose cost the sender chooses; two seconds for a close to be answered. */
export const SOCKET_OPTIONS = { perMessageDeflate: false, closeTimeout: 2000 };

/** Passes messages both ways: the caller's when they are allowed, the upstream's as they come. */
export function startSession(
  client: WebSocket,
  facts: RequestFacts,
  options: ParsedOptions,
  store: CachedStore,
  report: Reporter,
): Session {
  const { exposeReason, logger, maxBatchSize, upstreamTimeoutMs } = options;
  const replyOptions = { requestId: facts.requestId, exposeReason };
  const upstream = new WebSocket(options.upstream.wsUrl, {
    headers: options.upstream.wsHeaders,
    ...SOCKET_OPTIONS,
    handshakeTimeout: upstreamTimeoutMs,
    maxPayload: MAX_ANSWER_BYTES,
  });
  const batches = batchesUnderWay(upstreamTimeoutMs, () => {
    closeFor('UPSTREAM_TIMEOUT', 1011);
  });
  const waiting: Message[] = [];
  let waitingBytes = 0;
  let working = false;
  let ended = false;
  let batchCount = 0;
  /** Sockets not heard of since their last ping, and those whose writes were held up by then. */
  const silent = new Set<WebSocket>();
  const heldUp = new Set<WebSocket>();

  client.on('message', (data: Buffer, isBinary) => {
    const message = { data, isBinary };
    waiting.push(message);
    waitingBytes += costOf(message);
    if (waitingBytes > MAX_WAITING_BYTES) client.pause();
    work().catch(fail);
  });
  upstream.on('open', () => {
    work().catch(fail);
  });
  upstream.on('message', (data: Buffer, isBinary) => {
    if (isArray(data) && batches.take(data)) return;
    send(client, data, isBinary);
    if (client.bufferedAmount > MAX_WAITING_BYTES) upstream.pause();
  });

  for (const socket of [client, upstream]) {
    const heard = () => silent.delete(socket);
    socket.on('message', heard).on('pong', heard);
    socket.on('close', batches.close);
  }
  client.on('error', () => undefined);
  upstream.on('error', (error: NodeJS.ErrnoException) => {
    if (client.readyState !== WebSocket.OPEN) return;
    const { apiKey, requestId } = facts;
    logger.warn({ key: keyHint(apiKey), requestId, why: error.code ?? error.name }, 'the upstream socket failed');
  });
  client.on('close', (code, reason) => {
    if (code === ABNORMAL) closeSocket(upstream, 1001);
    else closeSocket(upstream, code, reason);
  });
  upstream.on('close', (code, reason) => {
    if (code === ABNORMAL) closeFor('UPSTREAM_UNAVAILABLE', 1011);
    else closeSocket(client, code, reason);
  });

  /** Takes the caller's messages one at a time and in order, because looking up the key may take a while. */
  async function work(): Promise<void> {
    if (working || upstream.readyState !== WebSocket.OPEN) return;
    working = true;
    while (hasRoom()) {
      const message = waiting.shift();
      if (message === undefined) break;
      waitingBytes -= costOf(message);
      if (!ended) await handle(message); // also what the caller sent just before it closed
    }
    working = false;
    if (client.isPaused && waitingBytes <= MAX_WAITING_BYTES) client.resume();
  }

  function hasRoom(): boolean {
    const waitingToBeRead = Math.max(client.bufferedAmount, upstream.bufferedAmount);
    return waitingToBeRead <= MAX_WAITING_BYTES && batchCount < MAX_BATCHES;
  }

  async function handle({ data, isBinary }: Message): Promise<void> {
    if (isBinary && !isUtf8(data)) {
      close(1007);
      return;
    }
    const arrivedAt = performance.now();
    const admission = await admit(facts, store);
    const judged = isRefusal(admission) ? admission : judgeBody(data, maxBatchSize, admission, options);
    report(judged, facts, performance.now() - arrivedAt);
    if (isRefusal(admission)) closeFor(admission.refused);
    else if (isRefusal(judged)) send(client, refusalReply(judged, undefined, replyOptions));
    else if (judged.batch) passBatch(judged);
    else if (judged.allowed.length > 0) send(upstream, serialiseAll(judged));
    else send(client, mergeAnswers(judged, new Map(), replyOptions));
  }

  /** A batch of which nothing is refused gets the upstream's own answer, any other what is put together of it. */
  function passBatch(judged: JudgedCalls): void {
    const isWhole = judged.allowed.length === judged.calls.length;
    const runs = isWhole ? [judged.allowed] : runsOf(judged.allowed);
    const replies: Replies = new Map();
    batchCount++;

    function next(index: number): void {
      const run = runs[index];
      if (run !== undefined) {
        exchange(run, (answer) => {
          if (isWhole && !isRefusal(answer)) send(client, answer);
          else addReplies(replies, isRefusal(answer) ? judged.allowed : run, answer);
          next(isRefusal(answer) ? runs.length : index + 1);
        });
        return;
      }
      if (!isWhole || replies.size > 0) send(client, mergeAnswers(judged, replies, replyOptions));
      batchCount--;
      work().catch(fail);
    }
    next(0);
  }

  /** Sends a batch to the upstream. Where only notifications are in it no answer is waited for. */
  function exchange(calls: readonly RpcCall[], done: (answer: Buffer | Refusal) => void): void {
    const ids = new Set(calls.map(({ id }) => id).filter((id) => id !== undefined));
    const body = serialiseBatch(calls);
    if (ids.size > 0) {
      batches.exchange(ids, () => send(upstream, body), done);
      return;
    }
    send(upstream, body);
    done(Buffer.alloc(0));
  }

  function send(to: WebSocket, data: Buffer | string, isBinary = false): void {
    if (data.length === 0 || to.readyState !== WebSocket.OPEN) return;
    // Text would go to the upstream in two pieces, its frame's head and what it masks; bytes go in one.
    const bytes = to === upstream && typeof data === 'string' ? Buffer.from(data) : data;
    to.send(bytes, { binary: isBinary }, () => {
      if (heldUp.has(to)) silent.delete(to);
      if (to === client && upstream.isPaused && client.bufferedAmount <= MAX_WAITING_BYTES) upstream.resume();
      if (waiting.length > 0) work().catch(fail);
    });
  }

  async function lookAgain(): Promise<void> {
    const admission = await admit(facts, store);
    if (!isRefusal(admission) || client.readyState !== WebSocket.OPEN) return;
    report(admission, facts, 0);
    closeFor(admission.refused);
  }

  /** What should not happen must not leave a socket open. */
  function fail(): void {
    close(1011);
  }

  function closeFor(reason: Reason, code = reason === 'SETTINGS_UNAVAILABLE' ? 1013 : 1008): void {
    close(code, exposeReason ? reason : '');
  }

  function close(code: number, reason = ''): void {
    ended = true;
    closeSocket(client, code, reason);
    closeSocket(upstream, 1001);
  }

  return {
    recheck() {
      lookAgain().catch(fail);
    },
    ping() {
      for (const socket of [client, upstream]) {
        if (socket.readyState !== WebSocket.OPEN) continue;
        // Of a socket that is not read from nothing can be heard.
        if (silent.has(socket) && !socket.isPaused) {
          socket.terminate();
          continue;
        }
        silent.add(socket);
        // A pong has to wait behind what is still to be taken; then that it is being taken is sign enough.
        if (socket.bufferedAmount > 0) heldUp.add(socket);
        else heldUp.delete(socket);
        socket.ping();
      }
    },
    close,
  };
}

function closeSocket(socket: WebSocket, code: number, reason: Buffer | string = ''): void {
  socket.resume(); // else the other side's close frame is never read
  if (socket.readyState === WebSocket.CONNECTING) socket.terminate();
  else if (code === NO_STATUS) socket.close();
  else socket.close(code, reason);
}

/** Bytes that a message takes while it waits, what holds it included: many empty ones are not free. */
function costOf({ data }: Message): number {
  return data.length + 100;
}

/** Whether a message is an array: nothing else answers a batch. */
function isArray(data: Buffer): boolean {
  let at = 0;
  while (at < data.length && data[at]! <= SPACE) at++;
  return data[at] === OPEN_BRACKET;
}
