import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import type { ClientOptions } from 'ws';
import type { Decision } from '../../lib';
import { endAfterTest } from './cleanup';
import { KEY, guardedApp } from './guarded-app';
import type { GuardedApp, GuardedAppOptions } from './guarded-app';
import { peerOf, webSocketUpstream } from './web-socket-upstream';
import type { Peer, SeenSocket, WebSocketUpstream } from './web-socket-upstream';
import { openWire } from './wire';
import type { Wire } from './wire';

export interface GuardedSockets extends Omit<GuardedApp, 'upstream'> {
  readonly upstream: WebSocketUpstream;
  /** The guard's WebSocket URL for `KEY`. */
  readonly socketUrl: string;
  readonly decisions: Decision[];
  /** Every connection that the server has accepted. */
  readonly connections: Socket[];
  /** A socket to the guard, open on both sides. */
  open(options?: ClientOptions, apiKey?: string): Promise<GuardedPeer>;
}

/** A client and the socket that the upstream has for it. */
export interface GuardedPeer extends Peer {
  readonly upstream: SeenSocket;
}

/** An Express backend with the guard in it, for HTTP and WebSocket, in front of a recording upstream of both kinds. */
export async function guardedSockets(
  given: Omit<GuardedAppOptions, 'upstream'> & { readonly upstream?: WebSocketUpstream } = {},
): Promise<GuardedSockets> {
  const upstream = given.upstream ?? (await webSocketUpstream());
  const decisions: Decision[] = [];
  const connections: Socket[] = [];
  const options = { onDecision: (decision: Decision) => decisions.push(decision), ...given.options };
  const app = await guardedApp({ ...given, upstream, options });
  app.server.on('connection', (connection) => connections.push(connection));
  app.server.on('upgrade', app.guard.upgrade);
  // What is left of a test that failed must not keep the server from closing.
  endAfterTest(() => {
    for (const connection of connections) connection.destroy();
  });
  const base = `ws://127.0.0.1:${app.port}/ws/v3`;
  return {
    ...app,
    upstream,
    decisions,
    connections,
    socketUrl: `${base}/${KEY}`,
    async open(clientOptions, apiKey = KEY) {
      const opened = upstream.nextSocket();
      const client = await openSocket(`${base}/${apiKey}`, clientOptions);
      const seen = await opened;
      // The upstream's end is open before the guard's is.
      seen.socket.ping();
      await once(seen.socket, 'pong');
      return { ...client, upstream: seen };
    },
  };
}

/** A client's socket, open. Its own limits and compression are off. */
export async function openSocket(url: string, options: ClientOptions = {}): Promise<Peer> {
  const socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: 0, ...options });
  endAfterTest(() => {
    socket.terminate();
  });
  const peer = peerOf(socket);
  await once(socket, 'open');
  return peer;
}

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

interface FrameOptions {
  readonly fin?: boolean;
  readonly masked?: boolean;
  readonly rsv1?: boolean;
}

/** The bytes of a client's frame. */
export function frame(
  opcode: number,
  payload: string | Buffer = '',
  { fin = true, masked = true, rsv1 = false }: FrameOptions = {},
): Buffer {
  const bytes = Buffer.from(payload);
  const length =
    bytes.length < 126
      ? [bytes.length]
      : bytes.length < 65_536
        ? [126, bytes.length >> 8, bytes.length & 255]
        : [127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (bytes.length >>> shift) & 255)];
  length[0] = length[0]! | (masked ? 0x80 : 0);
  const head = Buffer.from([(fin ? 0x80 : 0) | (rsv1 ? 0x40 : 0) | opcode, ...length]);
  if (!masked) return Buffer.concat([head, bytes]);
  const mask = randomBytes(4);
  return Buffer.concat([head, mask, bytes.map((byte, n) => byte ^ mask[n & 3]!)]);
}

/** The bytes of a close frame. */
export function closeFrame(code: number, reason: string | Buffer = ''): Buffer {
  return frame(OPCODE.close, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]));
}

export interface ReceivedFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** A client that writes frames as they stand. */
export interface RawSocket {
  readonly wire: Wire;
  readonly head: string;
  /** The frames received so far, whole. */
  frames(): ReceivedFrame[];
  /** Resolves with the first frame of that kind. */
  receives(opcode: number): Promise<ReceivedFrame>;
  write(...frames: readonly Buffer[]): void;
}

/** The bytes of a handshake. `headers` are lines as they stand. */
export function handshake(target: string, headers: readonly string[] = []): string {
  return [
    `GET ${target} HTTP/1.1`,
    'Host: guard.test',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==',
    ...headers,
    '\r\n',
  ].join('\r\n');
}

/** Shakes hands and reads no further than the response's head. */
export async function openRaw(port: number, target = `/ws/v3/${KEY}`, headers?: readonly string[]): Promise<RawSocket> {
  const wire = await openWire(port);
  wire.write(handshake(target, headers));
  await wire.receives('\r\n\r\n');
  const end = wire.received.indexOf('\r\n\r\n') + 4;
  const head = wire.received.subarray(0, end).toString();
  if (!head.startsWith('HTTP/1.1 101 ')) throw new Error(`no handshake: ${wire.received.toString()}`);
  const frames = () => readFrames(wire.received.subarray(end));
  return {
    wire,
    head,
    frames,
    write: (...parts) => void wire.socket.write(Buffer.concat(parts)),
    receives: (opcode) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = frames().find((received) => received.opcode === opcode);
          if (found === undefined) return;
          wire.socket.off('data', look);
          resolve(found);
        };
        wire.socket.on('data', look);
        void wire.closed.then(() => {
          reject(new Error(`the connection closed before a frame of kind ${opcode}`));
        });
        look();
      }),
  };
}

/** The code and the reason in a close frame. */
export function closeOf({ payload }: ReceivedFrame): { readonly code: number; readonly reason: string } {
  return { code: payload.length < 2 ? 1005 : payload.readUInt16BE(0), reason: payload.subarray(2).toString() };
}

function readFrames(bytes: Buffer): ReceivedFrame[] {
  const frames: ReceivedFrame[] = [];
  for (let at = 0; at + 2 <= bytes.length;) {
    const short = bytes[at + 1]! & 0x7f;
    const headLength = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (at + headLength > bytes.length) break;
    const length =
      short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short;
    if (at + headLength + length > bytes.length) break;
    frames.push({ opcode: bytes[at]! & 15, payload: bytes.subarray(at + headLength, at + headLength + length) });
    at += headLength + length;
  }
  return frames;
}

/** What `read` gives once it has given the same for a while: for what ends without an event, such as a stalled stream. */
export async function settled(read: () => number): Promise<number> {
  for (let last = read(), same = 0; ;) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    const now = read();
    same = now === last ? same + 1 : 0;
    last = now;
    if (same === 25) return now;
  }
}
