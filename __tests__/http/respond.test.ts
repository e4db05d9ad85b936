import { hashSecret } from '../../lib';
import { basic, call, guardedApp } from '../support/guarded-app';
import { REFUSAL_TABLE, expectRefusal } from '../support/refusal-table';
import { post } from '../support/reply';
import { exchange } from '../support/wire';
import { SECRET, CONTRACT, CALL, keyWith, CASES, appFor, requestOf, caseTitle } from '../support/refusal-cases';

describe('the refusal table', () => {
  for (const [index, it] of CASES.entries()) {
    test(`row ${caseTitle(index, it)}`, async () => {
      const app = await appFor(it);
      const answer = await exchange(app.port, requestOf(it), it.method);
      expectRefusal(answer, it.reason, { upstream: app.upstream, id: it.id ?? (it.late === true ? 1 : null) });
      const { headers } = answer;
      expect(headers.get('x-request-id')).toBe(answer.json.error.data.requestId);
      expect(headers.get('access-control-allow-origin')).toBe('*');
      expect(headers.get('access-control-expose-headers')).toMatch(/X-Request-Id/i);
      expect(headers.get('access-control-expose-headers')).toMatch(/Retry-After/i);
      const challenge = answer.status === 401 ? 'Basic realm="rpc-guard", charset="UTF-8"' : undefined;
      expect(headers.get('www-authenticate')).toBe(challenge);
      expect(headers.has('allow')).toBe(answer.status === 405);
      expect(headers.has('retry-after')).toBe(answer.status === 503);
      if (answer.status === 503) expect(headers.get('retry-after')).toMatch(/^0\d+$/);
      if (it.message !== undefined) expect(answer.json.error.message).toMatch(it.message);
      expect(answer.text).not.toMatch(
        /hidden-path|user:|pass@|127\.0\.0\.1|hunter2|postgres|fe05a3|Android|example\.com/,
      );
    });

    test(`without exposeReason, row ${caseTitle(index, it)} names none`, async () => {
      const app = await appFor(it, { exposeReason: false });
      const answer = await exchange(app.port, requestOf(it), it.method);
      expect(answer.json.error.data).toEqual({ requestId: answer.headers.get('x-request-id') });
      expect(answer.text).not.toContain(it.reason);
      expect(app.upstream.seen).toEqual([]);
    });
  }

  test('covers every reason', () => {
    // A slow body has a test of its own below.
    const covered = new Set([...CASES.map(({ reason }) => reason), 'BODY_TIMEOUT']);
    expect([...covered].sort()).toEqual(Object.keys(REFUSAL_TABLE).sort());
  });

  test('answers -32602 for params that are not an array', async () => {
    const app = await guardedApp();
    for (const params of [{}, { to: CONTRACT }, 'latest', 1, true]) {
      const answer = await post(app.rpcUrl, { ...CALL, id: 'p', params });
      expect(answer.status).toBe(400);
      expect(answer.json).toMatchObject({ jsonrpc: '2.0', id: 'p', error: { code: -32602 } });
    }
    expect(app.upstream.seen).toEqual([]);
  });

  test('names the blocked method in its message as it was sent', async () => {
    const app = await guardedApp({ options: { blockedMethods: ['debug_*', 'eth_sign'] } });
    for (const method of ['debug_', 'debug_"quoted"', 'Debug_x', 'eth_sign']) {
      const answer = await post(app.rpcUrl, call(method, [], 5));
      expect(answer.status).toBe(403);
      expect(answer.json.error).toMatchObject({
        code: -32601,
        message: `the method ${method} does not exist/is not available`,
      });
      expect(answer.json.id).toBe(5);
    }
    expect(app.upstream.seen).toEqual([]);
    for (const method of ['eth_signTransaction', 'admin_peers']) {
      expect((await post(app.rpcUrl, call(method))).json.result).toBe(method);
    }
  });

  test('distinguishes a wrong secret from an unknown key by the message alone', async () => {
    const app = await guardedApp(keyWith({ secrets: [{ hash: hashSecret(SECRET) }] }));
    const wrong = await post(app.rpcUrl, CALL, basic('wrong'));
    const unknown = await post(`${app.rpcUrl}x`, CALL, basic('wrong'));
    const names = (headers: Headers) => [...headers.keys()].filter((name) => name !== 'content-length');
    expect(names(wrong.headers)).toEqual(names(unknown.headers));
    expect(wrong.status).toBe(unknown.status);
    expect(app.upstream.seen).toEqual([]);
  });
});
