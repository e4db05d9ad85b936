import { once } from 'node:events';
import express from 'express';
import { hashSecret } from '../../lib';
import type { RequestEvent } from '../../lib';
import { KEY, basic, call, guardedApp, post } from '../support/guarded-app';
import { guardedSockets } from '../support/guarded-sockets';
import { SECRET, keyWith } from '../support/refusal-cases';
import { ask } from '../support/socket-session';
import { until } from '../support/until';
import { recordingUpstream } from '../support/upstream';
import { webSocketUpstream } from '../support/web-socket-upstream';

const bytes = (body: unknown) => Buffer.byteLength(JSON.stringify(body));

function listener(): { readonly events: RequestEvent[]; readonly onRequest: (event: RequestEvent) => void } {
  const events: RequestEvent[] = [];
  return { events, onRequest: (event) => events.push(event) };
}

describe('An event over HTTP', () => {
  test('says of an allowed call who made it, what it cost and what became of it', async () => {
    const { events, onRequest } = listener();
    const id = 'laptop';
    const app = await guardedApp({
      ...keyWith({ secrets: [{ id, hash: hashSecret(SECRET) }] }),
      options: { onRequest, credits: { eth_getLogs: 10 } },
    });
    const body = call('eth_getLogs');
    const answer = await post(app.rpcUrl, body, basic(SECRET));
    expect(events).toEqual([
      {
        v: 1,
        at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as unknown,
        requestId: answer.headers.get('x-request-id'),
        keyHint: `${KEY.slice(0, 6)}…`,
        keyId: expect.stringMatching(/^[0-9a-f]{16}$/) as unknown,
        secretId: id,
        network: undefined,
        wire: 'http',
        methods: { eth_getLogs: 1 },
        outcome: 'allowed',
        reason: undefined,
        wouldRefuse: undefined,
        why: undefined,
        status: 200,
        credits: 10,
        limitWaitMs: 0,
        bytesIn: bytes(body),
        bytesOut: answer.text.length,
        upstream: new URL(app.upstream.url).host,
        upstreamStatus: 200,
        upstreamCode: undefined,
        ms: {
          decision: expect.any(Number) as unknown,
          wait: 0,
          upstream: expect.any(Number) as unknown,
          total: expect.any(Number) as unknown,
        },
        aborted: false,
      },
    ]);
    expect([events[0], events[0]?.methods, events[0]?.ms].every(Object.isFrozen)).toBe(true);
  });

  test('counts the bytes of the body, not its characters, also behind a body parser', async () => {
    const { events, onRequest } = listener();
    const app = await guardedApp({ before: [express.json()], options: { onRequest } });
    const body = call('eth_call', ['é€']);
    await post(app.rpcUrl, body);
    expect(events).toMatchObject([{ outcome: 'allowed', bytesIn: bytes(body) }]);
  });

  test('lists each method of a mixed batch, with the first refusal and the credits of what was allowed', async () => {
    const { events, onRequest } = listener();
    const app = await guardedApp({ ...keyWith({ allowlists: { methods: ['eth_a'] } }), options: { onRequest } });
    const answer = await post(app.rpcUrl, [call('eth_a'), call('eth_a', [], 2), call('__proto__', [], 3), 1]);
    expect(events).toMatchObject([
      {
        outcome: 'mixed',
        reason: 'METHOD_NOT_ALLOWED',
        credits: 2,
        status: 200,
        bytesOut: answer.text.length,
        upstreamStatus: 200,
      },
    ]);
    expect(Object.entries(events[0]!.methods)).toEqual([
      ['eth_a', 2],
      ['__proto__', 1],
    ]);
  });

  test('names 100 methods at most', async () => {
    const { events, onRequest } = listener();
    const app = await guardedApp({ options: { onRequest } });
    await post(
      app.rpcUrl,
      Array.from({ length: 130 }, (_, n) => call(`eth_x${String(n)}`, [], n)),
    );
    const methods = Object.entries(events[0]!.methods);
    expect(methods).toHaveLength(101);
    expect(methods.at(-1)).toEqual(['(other)', 30]);
  });

  test('says why a request was refused, without the key', async () => {
    const { events, onRequest } = listener();
    const app = await guardedApp({ ...keyWith({ requireSecret: true }), options: { onRequest } });
    await post(app.rpcUrl, call('eth_a'));
    await post(`${app.url}/v3`, call('eth_a'));
    expect(events).toMatchObject([
      { outcome: 'refused', reason: 'SECRET_REQUIRED', status: 401, methods: {}, credits: 0, secretId: undefined },
      { outcome: 'refused', reason: 'KEY_REQUIRED', status: 401, keyHint: undefined, keyId: undefined },
    ]);
    expect(events[0]?.upstream).toBeUndefined();
    expect(JSON.stringify(events)).not.toContain(KEY);
  });

  test("holds the upstream's error code, of one call and of the first of a batch that failed", async () => {
    const { events, onRequest } = listener();
    const error = (id: number, code: number) => ({ jsonrpc: '2.0', id, error: { code, message: '"error"' } });
    const answers = [error(1, 3), [{ jsonrpc: '2.0', id: 1, result: '"error"' }, error(2, -32005)]];
    const upstream = await recordingUpstream((_req, res) => res.end(JSON.stringify(answers.shift())));
    const app = await guardedApp({ upstream, options: { onRequest } });
    await post(app.rpcUrl, call('eth_call'));
    await post(app.rpcUrl, [call('eth_a'), call('eth_b', [], 2)]);
    expect(events).toMatchObject([
      { outcome: 'allowed', upstreamCode: 3 },
      { outcome: 'allowed', upstreamCode: -32005 },
    ]);
  });

  test('says that the upstream failed, with its status, or that the caller went away', async () => {
    const { events, onRequest } = listener();
    const leave = new AbortController();
    const upstream = await recordingUpstream((_req, res, body) => {
      if (body.includes('eth_refused')) res.writeHead(403).end();
      else leave.abort();
    });
    const app = await guardedApp({ upstream, options: { onRequest } });
    await post(app.rpcUrl, call('eth_refused'));
    const request = { method: 'POST', body: JSON.stringify(call('eth_a')), signal: leave.signal };
    await expect(fetch(app.rpcUrl, request)).rejects.toThrow('abort');
    await until(() => events.length === 2);
    expect(events).toMatchObject([
      { outcome: 'failed', reason: 'UPSTREAM_UNAVAILABLE', status: 502, upstreamStatus: 403, aborted: false },
      { outcome: 'allowed', reason: undefined, upstreamStatus: undefined, aborted: true },
    ]);
  });

  test('counts the bytes of an answer that streams', async () => {
    const { events, onRequest } = listener();
    const answer = JSON.stringify({ jsonrpc: '2.0', id: 1, result: 'x'.repeat(300_000) });
    const upstream = await recordingUpstream((_req, res) => {
      res.write(answer.slice(0, 100), () => setImmediate(() => res.end(answer.slice(100))));
    });
    const app = await guardedApp({ upstream, options: { onRequest } });
    expect((await post(app.rpcUrl, call('eth_a'))).text).toBe(answer);
    expect(events).toMatchObject([{ bytesOut: answer.length, upstreamCode: undefined }]);
  });
});

describe('An event over WebSocket', () => {
  test('comes for a single call at its hand-off, and for a batch with its answer', async () => {
    const { events, onRequest } = listener();
    const app = await guardedSockets({
      keys: [{ apiKey: KEY, allowlists: { methods: ['eth_a'] } }],
      options: { onRequest },
    });
    const peer = await app.open();
    await ask(peer, call('eth_a'));
    await ask(peer, call('eth_x'));
    const batch = [call('eth_a'), call('eth_x', [], 2)];
    const answer = await ask(peer, batch);
    expect(events).toMatchObject([
      { wire: 'webSocket', outcome: 'allowed', methods: { eth_a: 1 }, status: undefined, bytesOut: 0, credits: 1 },
      { wire: 'webSocket', outcome: 'refused', reason: 'METHOD_NOT_ALLOWED', credits: 0 },
      { wire: 'webSocket', outcome: 'mixed', bytesIn: bytes(batch), bytesOut: bytes(answer), credits: 1 },
    ]);
    expect(events[2]?.ms.upstream).toBeGreaterThan(0);
  });

  test('comes for an unanswered batch when its sockets close', async () => {
    const { events, onRequest } = listener();
    const upstream = await webSocketUpstream({ answer: () => undefined });
    const app = await guardedSockets({ upstream, options: { onRequest } });
    const [left, cut] = [await app.open(), await app.open()];
    left.socket.send(JSON.stringify([call('eth_a')]));
    await left.upstream.next();
    left.socket.terminate();
    await until(() => events.length === 1);
    cut.socket.send(JSON.stringify([call('eth_a')]));
    await cut.upstream.next();
    cut.upstream.socket.terminate();
    await once(cut.socket, 'close');
    expect(events).toMatchObject([
      { outcome: 'allowed', aborted: true },
      { outcome: 'failed', reason: 'UPSTREAM_UNAVAILABLE', aborted: false },
    ]);
  });

  test('holds the status of a refused handshake', async () => {
    const { events, onRequest } = listener();
    const app = await guardedSockets({ keys: [{ apiKey: KEY, enabled: false }], options: { onRequest } });
    await expect(app.open()).rejects.toThrow('403');
    expect(events).toMatchObject([{ wire: 'webSocket', outcome: 'refused', reason: 'KEY_DISABLED', status: 403 }]);
  });
});
