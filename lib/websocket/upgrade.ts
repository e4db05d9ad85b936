import { ServerResponse } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import { Occurrence } from '../observe/request-event';
import { admit } from '../policy/authorize';
import type { Admission } from '../policy/authorize';
import { CLOSING, isRefusal, refuse, statusOf } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import { keyInPath } from '../request/key-path';
import { requestFacts } from '../request/request-facts';
import type { RequestFacts } from '../request/request-facts';
import { createUpstreamHealth } from '../upstream/upstream-health';
import type { UpstreamHealth, UpstreamState } from '../upstream/upstream-health';
import { IncompleteMessages, messageBounds } from './incomplete-messages';
import { OpenSessions } from './open-sessions';
import { SOCKET_OPTIONS, openUpstream } from './open-upstream';
import type { SocketEnd } from './open-upstream';
import { answerAndEnd, asksForWebSocket, serveWithoutUpgrade } from './serve-without-upgrade';
import { Session } from './session';
import type { SessionParts } from './session';

/** Answers a refusal as over HTTP. */
type AnswerRefusal = (req: IncomingMessage, res: ServerResponse, facts: RequestFacts, refusal: Refusal) => void;

/** A handshake under way. */
interface Handshake {
  readonly req: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly facts: RequestFacts;
}

/** Nobody reads it. */
const CALLER_GONE = refuse('UPSTREAM_UNAVAILABLE', { why: 'the caller went away' });

/** Guards that have passed on an upgrade: the last listener answers it. */
const passedOn = new WeakMap<IncomingMessage, number>();

/** Guards WebSocket: a handshake takes the route of an HTTP request, and each message after it the rest. */
export class WebSocketGuard {
  private readonly handshakes: WebSocketServer;
  private readonly sessions = new OpenSessions();
  private readonly incomplete: IncompleteMessages;
  private readonly upstreamHost: string;
  private readonly upstreamHealth: UpstreamHealth;
  /** Continues a handshake that `ws` accepts; `answer` answers it with 101. */
  private readonly whenSound = new WeakMap<IncomingMessage, (answer: () => void) => void>();

  constructor(
    private readonly parts: SessionParts,
    private readonly answerRefusal: AnswerRefusal,
  ) {
    const { maxBodyBytes, bodyTimeoutMs, wsPath, upstream, logger } = parts.options;
    this.incomplete = new IncompleteMessages(bodyTimeoutMs);
    this.upstreamHost = new URL(upstream.wsUrl).host;
    this.upstreamHealth = createUpstreamHealth(this.upstreamHost, logger);
    this.handshakes = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      ...SOCKET_OPTIONS,
      ...messageBounds(maxBodyBytes),
      handleProtocols: () => false,
      verifyClient: ({ req }, answer) => {
        this.whenSound.get(req)?.(() => {
          answer(true);
        });
      },
    });
    this.handshakes.on('wsClientError', (error, socket, req) => {
      const facts = requestFacts(req, wsPath);
      if (facts === undefined) return;
      const refusal = refuseHandshake(req, error);
      this.observe(refusal, facts, performance.now());
      this.refuseOver({ socket, req, facts }, refusal);
    });
  }

  /** Sockets that are open. */
  get size(): number {
    return this.sessions.size;
  }

  /** The upstream's host for WebSockets, and its state. */
  states(): Readonly<Record<string, UpstreamState>> {
    return { [this.upstreamHost]: this.upstreamHealth.state };
  }

  /** For `server.on('upgrade', …)`. */
  readonly upgrade = (req: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const { wsPath, path } = this.parts.options;
    const facts = requestFacts(req, wsPath);
    if (facts === undefined) {
      const isOverHttp = !asksForWebSocket(req) && keyInPath(req.url ?? '', path) !== undefined;
      if (isOverHttp) serveWithoutUpgrade(req, socket, head);
      else passOn(req, socket, head);
      return;
    }
    socket.on('error', () => socket.destroy());
    this.route({ req, socket, head, facts }).catch(() => socket.destroy());
  };

  /** Refuses new handshakes, closes every socket with 1001, and waits for that, at most two seconds. */
  close(): Promise<void> {
    return this.sessions.close();
  }

  private async route(handshake: Handshake): Promise<void> {
    const { facts } = handshake;
    const arrivedAt = performance.now();
    const admission = await admit(facts, this.parts.store);
    const refusal = isRefusal(admission) ? admission : this.noRoom(facts);
    if (handshake.socket.destroyed) return; // the caller went away
    if (refusal === undefined) {
      this.shakeHands(handshake);
      return;
    }
    this.observe(refusal, facts, arrivedAt);
    this.refuseOver(handshake, refusal);
  }

  private shakeHands(handshake: Handshake): void {
    const { req, socket, head, facts } = handshake;
    let upstream: SocketEnd | undefined;
    this.whenSound.set(req, (answer) => {
      this.prepare(handshake)
        .then((prepared) => {
          upstream = prepared;
          if (upstream !== undefined) answer();
        })
        .catch(() => socket.destroy());
    });
    this.handshakes.handleUpgrade(req, socket, head, (client) => {
      const end = { socket: client, connection: socket };
      const session = new Session(this.parts, facts, end, upstream!);
      this.sessions.add(facts.apiKey, session, client);
      this.incomplete.watch(facts.apiKey, end, session.refuse);
    });
  }

  /** Opens the upstream's socket and then checks the key again; refuses the handshake if either fails. */
  private async prepare(handshake: Handshake): Promise<SocketEnd | undefined> {
    const { socket, facts } = handshake;
    const arrivedAt = performance.now();
    const opening = openUpstream(this.parts.options);
    const onGone = () => {
      opening.abort(CALLER_GONE);
    };
    const stopWatching = watchForEnd(socket, onGone);
    const release = this.sessions.reserve(facts.apiKey, () => {
      opening.abort(CLOSING);
    });
    const opened = await opening.outcome;
    this.tellHealth(opened);
    const admission = isRefusal(opened) ? opened : await admit(facts, this.parts.store);
    release();
    stopWatching();
    const refusal = isRefusal(admission) ? admission : this.lost(socket, opened as SocketEnd);
    if (refusal === undefined) {
      this.reportHandshake(admission as Admission, facts, arrivedAt);
      return opened as SocketEnd;
    }
    if (!isRefusal(opened)) opened.socket.terminate();
    this.observe(refusal, facts, arrivedAt);
    if (socket.destroyed) return undefined;
    this.refuseOver(handshake, refusal);
    return undefined;
  }

  /** Nothing is told of a handshake that is let in, but what lists that only report would refuse. */
  private reportHandshake(admission: Admission, facts: RequestFacts, arrivedAt: number): void {
    const { wouldRefuse } = admission;
    if (wouldRefuse === undefined) return;
    const judged = { batch: false, calls: [], allowed: [], wouldRefuse };
    const handshake = new Occurrence(facts, 'webSocket', arrivedAt);
    this.parts.observe(Object.assign(handshake, { admission, judged, decidedAt: performance.now(), status: 101 }));
  }

  /** Why a handshake is refused although its upstream is open: things change while a key is looked up. */
  private lost(connection: Duplex, upstream: SocketEnd): Refusal | undefined {
    if (this.sessions.isClosing) return CLOSING;
    if (connection.destroyed || !connection.readable) return CALLER_GONE;
    const isOpen = upstream.socket.readyState === WebSocket.OPEN;
    return isOpen ? undefined : refuse('UPSTREAM_UNAVAILABLE', { why: 'it closed as soon as it had opened' });
  }

  private tellHealth(opened: SocketEnd | Refusal): void {
    if (!isRefusal(opened)) this.upstreamHealth.answered();
    else if (opened !== CLOSING && opened !== CALLER_GONE) this.upstreamHealth.failed(opened.why ?? opened.refused);
  }

  private observe(refusal: Refusal, facts: RequestFacts, arrivedAt: number): void {
    const handshake = new Occurrence(facts, 'webSocket', arrivedAt);
    handshake.judged = refusal;
    handshake.decidedAt = performance.now();
    handshake.status = statusOf(refusal);
    handshake.aborted = refusal === CALLER_GONE;
    this.parts.observe(handshake);
  }

  private refuseOver({ socket, req, facts }: Omit<Handshake, 'head'>, refusal: Refusal): void {
    if (!(socket instanceof Socket)) throw new TypeError('an upgrade comes on a socket');
    const res = new ServerResponse(req);
    res.shouldKeepAlive = false;
    res.assignSocket(socket);
    res.on('finish', () => {
      socket.destroySoon();
    });
    this.answerRefusal(req, res, facts, refusal);
  }

  private noRoom({ apiKey }: RequestFacts): Refusal | undefined {
    if (this.sessions.isClosing) return CLOSING;
    const hasRoom = this.sessions.countOf(apiKey) < this.parts.options.maxSocketsPerKey;
    return hasRoom ? undefined : refuse('TOO_MANY_SOCKETS');
  }
}

/** Calls `onEnd` if a caller ends its connection before it is answered. What it sends meanwhile stays unread. */
function watchForEnd(connection: Duplex, onEnd: () => void): () => void {
  const look = () => {
    // Node reports the end only to a reader that has reached it.
    if (connection.readableLength === 0) connection.read();
  };
  const listeners = { readable: look, end: onEnd, close: onEnd };
  for (const [event, listener] of Object.entries(listeners)) connection.on(event, listener);
  return () => {
    for (const [event, listener] of Object.entries(listeners)) connection.off(event, listener);
  };
}

/** A client that speaks another version learns which one is spoken here (RFC 6455, section 4.2.2). */
function refuseHandshake({ headers }: IncomingMessage, { message }: Error): Refusal {
  const isOtherVersion = headers['sec-websocket-version'] !== '13';
  return refuse('INVALID_REQUEST', {
    why: message,
    ...(isOtherVersion && { headers: { 'Sec-WebSocket-Version': '13' } }),
  });
}

/**
 * Leaves a foreign path to the other listeners. The last of them all, if it is a guard too, does not let it hang: a
 * WebSocket finds nobody there, anything else is served as if no guard listened.
 */
function passOn(req: IncomingMessage, socket: Duplex, head: Buffer): void {
  const { server } = socket as Duplex & { readonly server?: Server };
  const passes = (passedOn.get(req) ?? 0) + 1;
  passedOn.set(req, passes);
  if (server === undefined || passes < server.listenerCount('upgrade')) return;
  if (asksForWebSocket(req)) answerAndEnd(socket, '404 Not Found');
  else serveWithoutUpgrade(req, socket, head);
}
