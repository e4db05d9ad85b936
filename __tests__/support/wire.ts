import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { endAfterTest } from './cleanup';
import type { Reply } from './reply';

/** One HTTP response as it came over the wire. */
export interface WireAnswer {
  readonly status: number;
  /** By lower-case name; what came twice is joined by a comma. */
  readonly headers: ReadonlyMap<string, string>;
  readonly bytes: Buffer;
  readonly text: string;
  readonly json: Reply;
}

/** A client connection that writes bytes as they stand and reads one response after the other. */
export interface Wire {
  readonly socket: Socket;
  /** How many `100 Continue` came. */
  readonly continues: number;
  /** Everything received, the responses that were read included. */
  readonly received: Buffer;
  write(...parts: readonly (string | Buffer)[]): Wire;
  /** The next response, whole; rejects when the connection ends before it has come. `method` is the request's. */
  answer(method?: string): Promise<WireAnswer>;
  /** Resolves as soon as `text` has been received. */
  receives(text: string): Promise<void>;
  /** Resolves when the connection is closed, by whomever. */
  readonly closed: Promise<void>;
}

interface Head {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly end: number;
}

/** Connects to a port of this machine. The connection is destroyed after the test. */
export async function openWire(port: number): Promise<Wire> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.on('error', () => undefined);
  endAfterTest(() => socket.destroy());
  let received: Buffer = Buffer.alloc(0);
  let read = 0;
  let continues = 0;
  let ended = false;
  const checks = new Set<() => void>();
  const check = () => {
    for (const look of [...checks]) look();
  };
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    check();
  });
  const closed = new Promise<void>((resolve) => {
    socket.on('close', () => {
      ended = true;
      check();
      resolve();
    });
  });
  await once(socket, 'connect');

  function until<T>(what: string, look: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const attempt = () => {
        const found = look();
        if (found === undefined && !ended) return;
        checks.delete(attempt);
        if (found !== undefined) resolve(found);
        else
          reject(
            new Error(`the connection closed before ${what}, after: ${received.toString('latin1', read, read + 500)}`),
          );
      };
      checks.add(attempt);
      attempt();
    });
  }

  function next(method: string): WireAnswer | undefined {
    for (;;) {
      const head = readHead(received, read);
      if (head === undefined) return undefined;
      if (head.status === 100) {
        continues++;
        read = head.end;
        continue;
      }
      const body = readBody(received, head, method, ended);
      if (body === undefined) return undefined;
      read = body.end;
      return answerOf(head, body.bytes);
    }
  }

  const wire: Wire = {
    socket,
    closed,
    get continues() {
      return continues;
    },
    get received() {
      return received;
    },
    write(...parts) {
      for (const part of parts) socket.write(part);
      return wire;
    },
    answer: (method = 'POST') => until('a whole response', () => next(method)),
    receives: async (text) => {
      await until(JSON.stringify(text), () => (received.includes(text) ? true : undefined));
    },
  };
  return wire;
}

/** Sends one request on a connection of its own and reads the answer. */
export async function exchange(port: number, request: string | Buffer, method?: string): Promise<WireAnswer> {
  const wire = await openWire(port);
  const answer = await wire.write(request).answer(method);
  wire.socket.destroy();
  return answer;
}

export interface WireRequest {
  readonly method?: string;
  readonly target?: string;
  readonly version?: '1.0' | '1.1';
  /** Header lines beside `Host`, as they stand. */
  readonly headers?: readonly string[];
  /** Framed by a `Content-Length`, unless `headers` frame it. An object is serialised. */
  readonly body?: string | Buffer | object;
}

/** The bytes of a request. */
export function requestBytes({ method = 'POST', target, version = '1.1', headers = [], body }: WireRequest): Buffer {
  const bytes = Buffer.isBuffer(body) || typeof body === 'string' ? Buffer.from(body) : Buffer.from(textOf(body));
  const framed = body === undefined || headers.some((line) => /^(?:content-length|transfer-encoding) *:/i.test(line));
  const lines = [
    `${method} ${target ?? '/'} HTTP/${version}`,
    'Host: guard.test',
    ...headers,
    ...(framed ? [] : [`Content-Length: ${String(bytes.length)}`]),
  ];
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), bytes]);
}

/** `bytes` in chunked framing, `size` bytes a chunk. */
export function chunked(bytes: string | Buffer, size = 7, trailers: readonly string[] = []): Buffer {
  const rest = Buffer.from(bytes);
  const parts: Buffer[] = [];
  for (let at = 0; at < rest.length; at += size) {
    const chunk = rest.subarray(at, at + size);
    parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'));
  }
  return Buffer.concat([...parts, Buffer.from(`0\r\n${trailers.map((line) => `${line}\r\n`).join('')}\r\n`)]);
}

function textOf(body: object | undefined): string {
  return body === undefined ? '' : JSON.stringify(body);
}

function readHead(received: Buffer, from: number): Head | undefined {
  const end = received.indexOf('\r\n\r\n', from);
  if (end === -1) return undefined;
  const [first = '', ...lines] = received.subarray(from, end).toString('latin1').split('\r\n');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const name = line.slice(0, line.indexOf(':')).toLowerCase();
    const value = line.slice(line.indexOf(':') + 1).trim();
    headers.set(name, headers.has(name) ? `${headers.get(name) ?? ''}, ${value}` : value);
  }
  return { status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1]), headers, end: end + 4 };
}

function readBody(
  received: Buffer,
  { status, headers, end }: Head,
  method: string,
  ended: boolean,
): { readonly bytes: Buffer; readonly end: number } | undefined {
  if (method === 'HEAD' || status === 204 || status === 304) return { bytes: Buffer.alloc(0), end };
  const length = headers.get('content-length');
  if (length !== undefined) {
    const stop = end + Number(length);
    return received.length < stop ? undefined : { bytes: received.subarray(end, stop), end: stop };
  }
  if (headers.get('transfer-encoding') === 'chunked') return readChunks(received, end);
  return ended ? { bytes: received.subarray(end), end: received.length } : undefined;
}

function readChunks(received: Buffer, from: number): { readonly bytes: Buffer; readonly end: number } | undefined {
  const chunks: Buffer[] = [];
  for (let at = from; ;) {
    const line = received.indexOf('\r\n', at);
    if (line === -1) return undefined;
    const size = Number.parseInt(received.subarray(at, line).toString('latin1'), 16);
    const stop = line + 2 + size;
    if (received.length < stop + 2) return undefined;
    if (size === 0) return { bytes: Buffer.concat(chunks), end: stop + 2 };
    chunks.push(received.subarray(line + 2, stop));
    at = stop + 2;
  }
}

function answerOf({ status, headers }: Head, bytes: Buffer): WireAnswer {
  const text = bytes.toString();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { status, headers, bytes, text, json: json as Reply };
}
