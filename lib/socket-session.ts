import { isUtf8 } from 'node:buffer';
import { WebSocket } from 'ws';
import { judgeBody, mergeAnswers, serialiseAllowed } from './batch';
import type { JudgedCalls } from './batch';
import { admit } from './chain';
import type { Reporter } from './decisions';
import { splitAnswers } from './json-rpc/call';
import type { ParsedOptions } from './options';
import { isRefusal, refusalReply, refuse } from './refusals';
import type { Refusal } from './refusals';
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
  });
  const waiting: Message[] = [];
  let waitingBytes = 0;
  let working = false;
  /** Batches under way, oldest first, with what ends the wait for their answers. */
  const batches = new Map<JudgedCalls, NodeJS.Timeout>();
  /** Sockets that have not been heard of since their last ping. */
  const silent = new Set<WebSocket>();

  // The caller's messages are taken one at a time and in order, because looking up the key may take a while.
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
    const answer = isArray(data) ? answerToBatch(data) : data;
    send(client, answer, isBinary);
    if (client.bufferedAmount > MAX_WAITING_BYTES) upstream.pause();
  });

  for (const socket of [client, upstream]) {
    const peer = socket === client ? upstream : client;
    const heard = () => silent.delete(socket);
    socket.on('message', heard).on('pong', heard);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (socket === client || client.readyState !== WebSocket.OPEN) return;
      const { apiKey, requestId } = facts;
      logger.warn({ key: keyHint(apiKey), requestId, why: error.code ?? error.name }, 'the upstream socket failed');
    });
    socket.on('close', (code, reason) => {
      for (const judged of batches.keys()) forget(judged);
      if (code !== ABNORMAL) closeSocket(peer, code, reason);
      else if (peer === client) close(1011, 'UPSTREAM_UNAVAILABLE');
      else close(1001);
    });
  }

  async function work(): Promise<void> {
    if (working || upstream.readyState !== WebSocket.OPEN) return;
    working = true;
    while (upstream.bufferedAmount <= MAX_WAITING_BYTES) {
      const message = waiting.shift();
      if (message === undefined) break;
      waitingBytes -= costOf(message);
      if (client.readyState === WebSocket.OPEN) await handle(message);
    }
    working = false;
    if (waitingBytes <= MAX_WAITING_BYTES) client.resume();
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
    if (isRefusal(admission)) closeFor(admission);
    else if (isRefusal(judged)) send(client, refusalReply(judged, undefined, replyOptions));
    else pass(judged);
  }

  /** To the upstream goes what is allowed; what is refused is answered with it, or at once if no answer is to come. */
  function pass(judged: JudgedCalls): void {
    const { batch, calls, allowed } = judged;
    if (allowed.length > 0) send(upstream, serialiseAllowed(judged));
    const isAnswered = allowed.some(({ id }) => id !== undefined);
    if (batch && isAnswered) remember(judged);
    else if (allowed.length < calls.length)
      send(client, mergeAnswers(judged, refuse('UPSTREAM_UNAVAILABLE'), replyOptions));
  }

  function remember(judged: JudgedCalls): void {
    const timer = setTimeout(() => {
      forget(judged);
      if (isMixed(judged)) send(client, mergeAnswers(judged, refuse('UPSTREAM_TIMEOUT'), replyOptions));
    }, upstreamTimeoutMs);
    batches.set(judged, timer);
  }

  function forget(judged: JudgedCalls): void {
    clearTimeout(batches.get(judged));
    batches.delete(judged);
  }

  /** An array from the upstream answers the oldest batch that all of its ids belong to, preferably one that it answers in full. */
  function answerToBatch(data: Buffer): Buffer | string {
    const answers = splitAnswers(data);
    if (answers === undefined) return data;
    const candidates = [...batches.keys()].filter((judged) => belongsTo(judged, answers));
    const judged = candidates.find((candidate) => isFullAnswer(candidate, answers)) ?? candidates[0];
    if (judged === undefined) return data;
    forget(judged);
    return isMixed(judged) ? mergeAnswers(judged, data, replyOptions) : data;
  }

  function send(to: WebSocket, data: Buffer | string, isBinary = false): void {
    if (data.length === 0 || to.readyState !== WebSocket.OPEN) return;
    to.send(data, { binary: isBinary }, () => {
      silent.delete(to);
      if (to === upstream) work().catch(fail);
      else if (client.bufferedAmount <= MAX_WAITING_BYTES) upstream.resume();
    });
  }

  async function lookAgain(): Promise<void> {
    const admission = await admit(facts, store);
    if (!isRefusal(admission) || client.readyState !== WebSocket.OPEN) return;
    report(admission, facts, 0);
    closeFor(admission);
  }

  /** What should not happen must not leave a socket open. */
  function fail(): void {
    close(1011);
  }

  function closeFor(refusal: Refusal): void {
    const code = refusal.refused === 'SETTINGS_UNAVAILABLE' ? 1013 : 1008;
    close(code, exposeReason ? refusal.refused : '');
  }

  function close(code: number, reason = ''): void {
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
        // A socket that is not read from cannot be heard.
        if (silent.has(socket) && !socket.isPaused) socket.terminate();
        else socket.ping();
        silent.add(socket);
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

function isMixed({ calls, allowed }: JudgedCalls): boolean {
  return allowed.length < calls.length;
}

function belongsTo(judged: JudgedCalls, answers: ReadonlyMap<string, readonly string[]>): boolean {
  const ids = new Set(judged.allowed.map(({ id }) => id));
  return [...answers.keys()].every((id) => ids.has(id));
}

function isFullAnswer(judged: JudgedCalls, answers: ReadonlyMap<string, readonly string[]>): boolean {
  return judged.allowed.every(({ id }) => id === undefined || answers.has(id));
}

/** Bytes that a message takes while it waits, what holds it included: many empty ones are not free. */
function costOf({ data }: Message): number {
  return data.length + 100;
}

/** Whether a message is an array: nothing else answers a batch. */
function isArray(data: Buffer): boolean {
  return data.find((byte) => byte > SPACE) === OPEN_BRACKET;
}
