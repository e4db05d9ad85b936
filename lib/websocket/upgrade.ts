import { ServerResponse } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import { admit } from '../policy/authorize';
import type { Reporter } from '../observe/decision-log';
import type { ParsedOptions } from '../options/options';
import { isRefusal, refuse } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import { requestFacts } from '../request/request-facts';
import type { RequestFacts } from '../request/request-facts';
import { SOCKET_OPTIONS, startSession } from './session';
import type { Session } from './session';
import type { CachedStore } from '../stores/settings-cache';

/** For `server.on('upgrade', …)`. */
export type Upgrade = (req: IncomingMessage, socket: Duplex, head: Buffer) => void;

export interface WebSocketGuard {
  readonly upgrade: Upgrade;
  /** Takes no more, closes every socket with 1001, and waits for that: two seconds at most. */
  close(): Promise<void>;
}

/** Answers a refusal as over HTTP. */
type AnswerRefusal = (req: IncomingMessage, res: ServerResponse, facts: RequestFacts, refusal: Refusal) => void;

/** How often a key is looked at while its sockets are idle: a revoked one ends them too. */
const RECHECK_MS = 400;
const PING_MS = 30_000;

/** How many guards have passed on an upgrade: the last of all listeners answers it. */
const passedOn = new WeakMap<Duplex, number>();

/** Guards WebSocket: a handshake takes the route of an HTTP request, and each message after it the rest. */
export function createWebSocketGuard(
  options: ParsedOptions,
  store: CachedStore,
  report: Reporter,
  answerRefusal: AnswerRefusal,
): WebSocketGuard {
  const { maxBodyBytes, maxSocketsPerKey, wsPath } = options;
  const handshakes = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    ...SOCKET_OPTIONS,
    maxPayload: maxBodyBytes,
  });
  handshakes.on('wsClientError', (error, socket, req) => {
    const facts = requestFacts(req, wsPath);
    if (facts !== undefined) refuseOver(socket, req, facts, refuse('INVALID_REQUEST', { why: error.message }));
  });
  const sessions = new Set<Session>();
  const socketsByKey = new Map<string, number>();
  let timers: readonly NodeJS.Timeout[] = [];
  let closing: Promise<void> | undefined;
  let onLastClosed = (): void => undefined;

  function upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    const facts = requestFacts(req, wsPath);
    if (facts === undefined) {
      passOn(socket);
      return;
    }
    socket.on('error', () => socket.destroy());
    route(req, socket, head, facts).catch(() => socket.destroy());
  }

  async function route(req: IncomingMessage, socket: Duplex, head: Buffer, facts: RequestFacts): Promise<void> {
    const arrivedAt = performance.now();
    const admission = await admit(facts, store);
    const refusal = isRefusal(admission) ? admission : noRoom(facts);
    if (refusal === undefined) {
      handshakes.handleUpgrade(req, socket, head, (client) => {
        open(client, socket, facts);
      });
      return;
    }
    report(refusal, facts, arrivedAt);
    refuseOver(socket, req, facts, refusal);
  }

  function refuseOver(socket: Duplex, req: IncomingMessage, facts: RequestFacts, refusal: Refusal): void {
    if (!(socket instanceof Socket)) throw new TypeError('an upgrade comes on a socket');
    const res = new ServerResponse(req);
    res.shouldKeepAlive = false;
    res.assignSocket(socket);
    res.on('finish', () => {
      socket.destroySoon();
    });
    answerRefusal(req, res, facts, refusal);
  }

  function noRoom({ apiKey }: RequestFacts): Refusal | undefined {
    if (closing !== undefined) return refuse('SETTINGS_UNAVAILABLE');
    return (socketsByKey.get(apiKey) ?? 0) < maxSocketsPerKey ? undefined : refuse('TOO_MANY_SOCKETS');
  }

  function open(client: WebSocket, socket: Duplex, facts: RequestFacts): void {
    const session = startSession(client, socket, facts, options, store, report);
    const { apiKey } = facts;
    sessions.add(session);
    socketsByKey.set(apiKey, (socketsByKey.get(apiKey) ?? 0) + 1);
    if (sessions.size === 1) startTimers();
    client.on('close', () => {
      sessions.delete(session);
      const left = (socketsByKey.get(apiKey) ?? 1) - 1;
      if (left > 0) socketsByKey.set(apiKey, left);
      else socketsByKey.delete(apiKey);
      if (sessions.size > 0) return;
      timers.forEach(clearInterval);
      onLastClosed();
    });
  }

  function startTimers(): void {
    const forEachSession = (act: (session: Session) => void) => () => {
      sessions.forEach(act);
    };
    timers = [
      setInterval(
        forEachSession((session) => session.recheck()),
        RECHECK_MS,
      ).unref(),
      setInterval(
        forEachSession((session) => session.ping()),
        PING_MS,
      ).unref(),
    ];
  }

  return {
    upgrade,
    close() {
      closing ??= new Promise((resolve) => {
        onLastClosed = resolve;
        for (const session of sessions) session.close(1001);
        if (sessions.size === 0) resolve();
      });
      return closing;
    },
  };
}

/** Leaves a foreign path to the other listeners; the last of them all, if it is a guard too, does not let it hang. */
function passOn(socket: Duplex): void {
  const { server } = socket as Duplex & { readonly server?: Server };
  const passes = (passedOn.get(socket) ?? 0) + 1;
  passedOn.set(socket, passes);
  if (server === undefined || passes < server.listenerCount('upgrade')) return;
  socket.on('error', () => socket.destroy());
  socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n', () => socket.destroy());
}
