import { ServerResponse } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { admit } from '../policy/authorize';
import { isRefusal, refuse } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import { requestFacts } from '../request/request-facts';
import type { RequestFacts } from '../request/request-facts';
import { OpenSessions } from './open-sessions';
import { SOCKET_OPTIONS, Session } from './session';
import type { SessionParts } from './session';

/** For `server.on('upgrade', …)`. */
export type Upgrade = (req: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** Answers a refusal as over HTTP. */
type AnswerRefusal = (req: IncomingMessage, res: ServerResponse, facts: RequestFacts, refusal: Refusal) => void;

/** A handshake on its way. */
interface Handshake {
  readonly req: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly facts: RequestFacts;
}

/** How many guards have passed on an upgrade: the last of all listeners answers it. */
const passedOn = new WeakMap<Duplex, number>();

/** Guards WebSocket: a handshake takes the route of an HTTP request, and each message after it the rest. */
export class WebSocketGuard {
  private readonly handshakes: WebSocketServer;
  private readonly sessions = new OpenSessions();

  constructor(
    private readonly parts: SessionParts,
    private readonly answerRefusal: AnswerRefusal,
  ) {
    const { maxBodyBytes, wsPath } = parts.options;
    this.handshakes = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      ...SOCKET_OPTIONS,
      maxPayload: maxBodyBytes,
      handleProtocols: () => false,
    });
    this.handshakes.on('wsClientError', (error, socket, req) => {
      const facts = requestFacts(req, wsPath);
      if (facts !== undefined) this.refuseOver({ socket, req, facts }, refuseHandshake(req, error));
    });
  }

  readonly upgrade: Upgrade = (req, socket, head) => {
    const facts = requestFacts(req, this.parts.options.wsPath);
    if (facts === undefined) {
      passOn(socket);
      return;
    }
    socket.on('error', () => socket.destroy());
    this.route({ req, socket, head, facts }).catch(() => socket.destroy());
  };

  /** Takes no more, closes every socket with 1001, and waits for that: two seconds at most. */
  close(): Promise<void> {
    return this.sessions.close();
  }

  private async route(handshake: Handshake): Promise<void> {
    const { req, socket, head, facts } = handshake;
    const arrivedAt = performance.now();
    const admission = await admit(facts, this.parts.store);
    const refusal = isRefusal(admission) ? admission : this.noRoom(facts);
    if (refusal === undefined) {
      this.handshakes.handleUpgrade(req, socket, head, (client) => {
        this.sessions.add(facts.apiKey, new Session(this.parts, facts, client, socket), client);
      });
      return;
    }
    this.parts.report(refusal, facts, arrivedAt);
    this.refuseOver(handshake, refusal);
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
    if (this.sessions.isClosing) return refuse('SETTINGS_UNAVAILABLE');
    const hasRoom = this.sessions.countOf(apiKey) < this.parts.options.maxSocketsPerKey;
    return hasRoom ? undefined : refuse('TOO_MANY_SOCKETS');
  }
}

/** A client that speaks another version learns which one is spoken here (RFC 6455, section 4.2.2). */
function refuseHandshake({ headers }: IncomingMessage, { message }: Error): Refusal {
  const isOtherVersion = headers['sec-websocket-version'] !== '13';
  return refuse('INVALID_REQUEST', {
    why: message,
    ...(isOtherVersion && { headers: { 'Sec-WebSocket-Version': '13' } }),
  });
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
