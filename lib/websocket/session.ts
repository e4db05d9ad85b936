import { isUtf8 } from 'node:buffer';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import { addReplies, judgeBody, mergeAnswers, runsOf, serialiseAll } from '../policy/evaluate-body';
import type { JudgedCalls, Replies } from '../policy/evaluate-body';
import { batchesUnderWay } from './pending-batches';
import { admitTo } from '../policy/authorize';
import type { Admission } from '../policy/authorize';
import { whenKnown } from '../policy/value-or-promise';
import type { ValueOrPromise } from '../policy/value-or-promise';
import type { Reporter } from '../observe/decision-log';
import { serialiseBatch } from '../json-rpc/call';
import type { RpcCall } from '../json-rpc/call';
import type { ParsedOptions } from '../options/options';
import { isRefusal, refusalReply } from '../policy/refusals';
import type { Reason, Refusal } from '../policy/refusals';
import { keyHint } from '../settings/api-key';
import type { RequestFacts } from '../request/request-facts';
import type { CachedStore, Lookup } from '../stores/settings-cache';
import { corkForTurn } from './coalesce-writes';

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
  connection: Duplex,
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
  let lastAdmission: Admission | undefined;
  /** What the sockets run on; the upstream's is known once it has opened. */
  const connections = new Map<WebSocket, Duplex>();
  /** Sockets not heard of since their last ping, with the bytes they had taken by then if others were still waiting. */
  const silent = new Map<WebSocket, number>();

  client.on('message', (data: Buffer, isBinary) => {
    silent.delete(client);
    const message = { data, isBinary };
    waiting.push(message);
    waitingBytes += costOf(message);
    if (waitingBytes > MAX_WAITING_BYTES) client.pause();
    work();
  });
  upstream.on('message', (data: Buffer, isBinary) => {
    silent.delete(upstream);
    if (isArray(data) && batches.take(data)) return;
    send(client, data, isBinary);
    if (client.bufferedAmount > MAX_WAITING_BYTES) upstream.pause();
  });
  connect(client, connection);
  upstream.on('upgrade', ({ socket }) => {
    connect(upstream, socket);
  });
  upstream.on('open', work);

  for (const socket of [client, upstream]) {
    socket.on('pong', () => silent.delete(socket));
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

  function connect(socket: WebSocket, to: Duplex): void {
    connections.set(socket, to);
    to.on('drain', () => {
      if (socket === client && upstream.isPaused) upstream.resume();
      work();
    });
  }

  /** Takes the caller's messages one at a time and in order, because looking up the key may take a while. */
  function work(): void {
    if (working || upstream.readyState !== WebSocket.OPEN) return;
    working = true;
    try {
      while (waiting.length > 0 && hasRoom()) {
        const message = waiting.shift()!;
        waitingBytes -= costOf(message);
        if (ended) continue; // what the caller sent just before it closed is still handled
        const admission = whenKnown(store.get(facts.apiKey), admitted);
        if (admission instanceof Promise) {
          admission.then((known) => handle(message, known)).then(workOn, fail);
          return;
        }
        handle(message, admission);
      }
    } catch {
      fail();
    }
    working = false;
    if (client.isPaused && waitingBytes <= MAX_WAITING_BYTES) client.resume();
  }

  function workOn(): void {
    working = false;
    work();
  }

  function hasRoom(): boolean {
    const waitingToBeRead = Math.max(client.bufferedAmount, upstream.bufferedAmount);
    return waitingToBeRead <= MAX_WAITING_BYTES && batchCount < MAX_BATCHES;
  }

  function handle({ data, isBinary }: Message, admission: Admission | Refusal): void {
    if (isBinary && !isUtf8(data)) {
      close(1007);
      return;
    }
    const arrivedAt = performance.now();
    const judged = isRefusal(admission) ? admission : judgeBody(data, maxBatchSize, admission, options);
    report(judged, facts, arrivedAt);
    if (isRefusal(admission)) closeFor(admission.refused);
    else if (isRefusal(judged)) send(client, refusalReply(judged, undefined, replyOptions));
    else if (judged.batch) passBatch(judged);
    else if (judged.allowed.length > 0) send(upstream, serialiseAll(judged));
    else send(client, mergeAnswers(judged, new Map(), replyOptions));
  }

  /** Decided anew when the settings are others than for the last message, or the secret has expired since. */
  function admitted(key: Lookup): ValueOrPromise<Admission | Refusal> {
    if (lastAdmission?.key === key && Date.now() < (lastAdmission.credential?.expiresAtMs ?? Infinity)) {
      return lastAdmission;
    }
    return whenKnown(admitTo(key, facts), (admission) => {
      lastAdmission = isRefusal(admission) ? undefined : admission;
      return admission;
    });
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
      work();
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
    corkForTurn(connections.get(to)!);
    to.send(bytes, { binary: isBinary });
  }

  function lookAgain(admission: Admission | Refusal): void {
    if (!isRefusal(admission) || client.readyState !== WebSocket.OPEN) return;
    report(admission, facts, performance.now());
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
      Promise.resolve(store.get(facts.apiKey)).then(admitted).then(lookAgain).catch(fail);
    },
    ping() {
      for (const socket of [client, upstream]) {
        if (socket.readyState !== WebSocket.OPEN) continue;
        const taken = bytesTaken(connections.get(socket));
        // A pong has to wait behind what is still to be taken: then that some of it has been is sign enough. And of a
        // socket that is not read from nothing can be heard.
        if (taken <= (silent.get(socket) ?? -1) && !socket.isPaused) {
          socket.terminate();
          continue;
        }
        silent.set(socket, socket.bufferedAmount > 0 ? taken : Infinity);
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

function bytesTaken(connection: Duplex | undefined): number {
  return connection instanceof Socket ? connection.bytesWritten - connection.writableLength : 0;
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
