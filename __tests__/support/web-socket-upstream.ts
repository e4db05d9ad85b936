import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import { endAfterTest } from './cleanup';
import type { RecordingUpstream } from './upstream';

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** One end of a WebSocket, with what it has received. */
export interface Peer {
  readonly socket: WebSocket;
  /** Texts of the messages so far. */
  readonly messages: readonly string[];
  /** The next message that was not asked for yet; rejects when the socket closes before. */
  next(): Promise<string>;
  readonly closed: Promise<Closed>;
}

export function peerOf(socket: WebSocket): Peer {
  const messages: string[] = [];
  let asked = 0;
  let waiting: (() => void)[] = [];
  const wake = () => {
    const woken = waiting;
    waiting = [];
    for (const look of woken) look();
  };
  socket.on('error', () => undefined);
  socket.on('message', (data: Buffer) => {
    messages.push(data.toString());
    wake();
  });
  const closed = new Promise<Closed>((resolve) => {
    socket.on('close', (code, reason) => {
      resolve({ code, reason: reason.toString() });
      wake();
    });
  });
  return {
    socket,
    messages,
    closed,
    next() {
      const index = asked++;
      return new Promise((resolve, reject) => {
        const look = () => {
          const message = messages[index];
          if (message !== undefined) resolve(message);
          else if (socket.readyState === socket.CLOSED) reject(new Error('the socket closed before another message'));
          else waiting.push(look);
        };
        look();
      });
    },
  };
}

/** A socket that the upstream has accepted. */
export interface SeenSocket extends Peer {
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly connection: Socket;
}

export interface WebSocketUpstream extends RecordingUpstream {
  /** Every socket so far, the closed ones included. */
  readonly sockets: SeenSocket[];
  /** The next socket that was not asked for yet. */
  nextSocket(): Promise<SeenSocket>;
  /** All messages of all sockets. */
  readonly messages: string[];
  /** Lets the handshakes through that were held. */
  readonly release: () => void;
}

export interface WebSocketUpstreamOptions {
  /** What is done with a message; default `answerWithMethod`. */
  readonly answer?: (socket: WebSocket, message: string) => void;
  /** Whether handshakes wait for `release()`. */
  readonly held?: boolean;
  /** Whether pings are answered; default true. */
  readonly autoPong?: boolean;
  /** Given what answers a request over HTTP; default: it is answered at once. */
  readonly hold?: (answer: () => void) => void;
  /** Whether messages are kept; default true. */
  readonly recording?: boolean;
}

/** An upstream on a free port that keeps what it receives over WebSocket, and over HTTP, and answers with the method. */
export async function webSocketUpstream({
  answer = answerWithMethod,
  held = false,
  autoPong = true,
  hold = (send) => {
    send();
  },
  recording = true,
}: WebSocketUpstreamOptions = {}): Promise<WebSocketUpstream> {
  const handshakes = new WebSocketServer({ noServer: true, clientTracking: false, autoPong });
  const connections = new Set<Socket>();
  const waiting: ((socket: SeenSocket) => void)[] = [];
  let asked = 0;
  let release: (() => void) | undefined;
  const released = held ? new Promise<void>((resolve) => (release = resolve)) : Promise.resolve();

  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const { method, url, headers, rawHeaders } = req;
      const body = Buffer.concat(chunks).toString();
      upstream.seen.push({ method, url, headers, rawHeaders, body });
      res.setHeader('Content-Type', 'application/json');
      hold(() => res.end(answerTo(body)));
    });
  });
  server.on('connection', (connection) => {
    upstream.connections++;
    connections.add(connection);
    connection.on('close', () => connections.delete(connection));
  });
  server.on('upgrade', (req: IncomingMessage, connection: Socket, head: Buffer) => {
    connection.on('error', () => connection.destroy());
    void released.then(() => {
      handshakes.handleUpgrade(req, connection, head, (socket) => {
        if (recording) socket.on('message', (data: Buffer) => upstream.messages.push(data.toString()));
        socket.on('message', (data: Buffer) => {
          answer(socket, recording ? data.toString() : '');
        });
        const peer = recording ? peerOf(socket) : bare(socket);
        upstream.sockets.push({ ...peer, url: req.url, headers: req.headers, connection });
        for (const look of waiting.splice(0)) look(upstream.sockets.at(-1)!);
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  const upstream: WebSocketUpstream = {
    url: `http://127.0.0.1:${port}`,
    port,
    seen: [],
    connections: 0,
    sockets: [],
    messages: [],
    release: () => release?.(),
    nextSocket() {
      const index = asked++;
      const socket = upstream.sockets[index];
      return socket === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(socket);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const connection of connections) connection.destroy();
      }),
  };
  endAfterTest(() => upstream.close());
  return upstream;
}

/** A peer that keeps nothing. */
function bare(socket: WebSocket): Peer {
  socket.on('error', () => undefined);
  const closed = new Promise<Closed>((resolve) => {
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  return { socket, messages: [], closed, next: () => Promise.reject(new Error('nothing is kept')) };
}

interface Call {
  readonly id?: unknown;
  readonly method: string;
}

export function answerWithMethod(socket: WebSocket, message: string): void {
  const answer = answerTo(message);
  if (answer !== '') socket.send(answer);
}

function answerTo(message: string): string {
  const read = JSON.parse(message) as Call | Call[];
  // Ids are copied from the text, because a big one would lose digits in a double.
  const ids = [...message.matchAll(/"id":("(?:[^"\\]|\\.)*"|null|-?[0-9]+),"method"/g)].map(([, id]) => id ?? 'null');
  const calls = (Array.isArray(read) ? read : [read]).filter((call) => 'id' in call);
  const answers = calls.map(({ method }, n) => `{"jsonrpc":"2.0","id":${ids[n] ?? 'null'},"result":"${method}"}`);
  if (answers.length === 0) return '';
  return Array.isArray(read) ? `[${answers.join(',')}]` : answers.join('');
}
