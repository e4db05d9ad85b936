import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { endAfterTest } from './cleanup';

/** One request as the upstream received it. */
export interface SeenRequest {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

export interface RecordingUpstream {
  readonly url: string;
  readonly port: number;
  readonly seen: SeenRequest[];
  /** Connections accepted so far. */
  connections: number;
  readonly close: () => Promise<void>;
}

type Answer = (req: IncomingMessage, res: ServerResponse, body: string) => void;

/**
 * An HTTP server on a free port that keeps every request it receives, byte for byte, and answers each call with its
 * method as the result, or as `answer` does.
 */
export async function recordingUpstream(answer: Answer = answerWithMethod): Promise<RecordingUpstream> {
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      upstream.seen.push({
        method: req.method,
        url: req.url,
        headers: req.headers,
        rawHeaders: req.rawHeaders,
        body,
      });
      answer(req, res, body);
    });
  });
  server.on('connection', () => upstream.connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const upstream: RecordingUpstream = {
    url: `http://127.0.0.1:${port}`,
    port,
    seen: [],
    connections: 0,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  endAfterTest(upstream.close);
  return upstream;
}

interface Call {
  readonly id?: unknown;
  readonly method: string;
}

export function answerWithMethod(_req: IncomingMessage, res: ServerResponse, body: string): void {
  const read = JSON.parse(body) as Call | Call[];
  // Ids are copied from the text, because a big one would lose digits in a double.
  const ids = [...body.matchAll(/"id":("(?:[^"\\]|\\.)*"|null|-?[0-9]+),"method"/g)].map(([, id]) => id ?? 'null');
  const calls = (Array.isArray(read) ? read : [read]).filter((call) => 'id' in call);
  const answers = calls.map(({ method }, n) => `{"jsonrpc":"2.0","id":${ids[n] ?? 'null'},"result":"${method}"}`);
  res.setHeader('Content-Type', 'application/json');
  res.end(Array.isArray(read) ? `[${answers.join(',')}]` : answers.join(''));
}
