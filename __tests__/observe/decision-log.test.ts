import { hashSecret } from '../../lib';
import type { Decision, Logger, SettingsStore } from '../../lib';
import { KEY, basic, call, guardedApp } from '../support/guarded-app';
import { memoryKept } from '../support/memory-kept';
import { expectRefusal } from '../support/refusal-table';
import { post } from '../support/reply';
import { recordingUpstream } from '../support/upstream';
import { exchange, requestBytes } from '../support/wire';
import { SECRET, CALL, keyWith, silent, CASES, appFor, requestOf, caseTitle } from '../support/refusal-cases';

/** A megabyte, which a part of the body would keep. */
const LONG = 'x'.repeat(1_000_000);
const unknownMethod = (n: number) => `zzz_some_unknown_method_${String(n)}`;

describe('onDecision', () => {
  interface Told {
    readonly decisions: Decision[];
    readonly onDecision: (decision: Decision) => void;
  }

  function told(): Told {
    const decisions: Decision[] = [];
    return { decisions, onDecision: (decision) => decisions.push(decision) };
  }

  test('is called once for an allowed request', async () => {
    const { decisions, onDecision } = told();
    const app = await guardedApp({ options: { onDecision } });
    const answer = await post(app.rpcUrl, [call('eth_a'), call('eth_b')]);
    expect(decisions).toEqual([
      {
        allowed: true,
        reason: undefined,
        keyHint: expect.any(String) as unknown,
        methods: ['eth_a', 'eth_b'],
        requestId: answer.headers.get('x-request-id'),
        milliseconds: expect.any(Number) as unknown,
      },
    ]);
    expect(KEY.startsWith(decisions[0]?.keyHint?.replace(/\W+$/, '') ?? 'none')).toBe(true);
    expect(decisions[0]?.keyHint?.length).toBeLessThan(KEY.length / 2);
  });

  for (const [index, it] of CASES.entries()) {
    if (it.late === true) continue;
    test(`is called once: ${caseTitle(index, it)}`, async () => {
      const { decisions, onDecision } = told();
      const app = await appFor(it, { onDecision });
      const answer = await exchange(app.port, requestOf(it), it.method);
      expect(decisions).toHaveLength(1);
      expect(decisions[0]).toMatchObject({
        allowed: false,
        reason: it.reason,
        requestId: answer.headers.get('x-request-id'),
      });
      expect(app.upstream.seen).toEqual([]);
    });
  }

  test('is called once for each verdict of a mixed batch, with its methods', async () => {
    const { decisions, onDecision } = told();
    const app = await guardedApp({ ...keyWith({ allowlists: { methods: ['eth_a'] } }), options: { onDecision } });
    await post(app.rpcUrl, [call('eth_a'), call('eth_x'), call('eth_a'), call('admin_y'), 1, call('eth_z')]);
    const verdicts = decisions.map(({ allowed, reason, methods }) => ({ allowed, reason, methods }));
    expect(verdicts).toHaveLength(4);
    expect(verdicts).toEqual(
      expect.arrayContaining([
        { allowed: true, reason: undefined, methods: ['eth_a', 'eth_a'] },
        { allowed: false, reason: 'METHOD_NOT_ALLOWED', methods: ['eth_x', 'eth_z'] },
        { allowed: false, reason: 'METHOD_BLOCKED', methods: ['admin_y'] },
        { allowed: false, reason: 'INVALID_REQUEST', methods: [] },
      ]),
    );
  });

  test.each([
    ['of a batch', (n: number) => [call(unknownMethod(n), [LONG]), call('eth_a')]],
    ['of a call that is not all ASCII', (n: number) => call(unknownMethod(n), [LONG, 'é'])],
  ])('is told methods %s that do not keep the body in memory', async (_, bodyOf) => {
    const { decisions, onDecision } = told();
    const app = await guardedApp({ options: { onDecision, logger: silent(), blockedMethods: ['zzz_*'] } });
    await post(app.rpcUrl, bodyOf(0));
    const kept = await memoryKept(async () => {
      for (let n = 1; n <= 20; n++) await post(app.rpcUrl, bodyOf(n));
    });
    expect(decisions.length).toBeGreaterThan(20);
    expect(kept).toBeLessThan(4_000_000);
  });

  test('is not called for a preflight', async () => {
    const { decisions, onDecision } = told();
    const app = await guardedApp({ options: { onDecision } });
    await exchange(app.port, requestBytes({ method: 'OPTIONS', target: `/v3/${KEY}` }));
    expect(decisions).toEqual([]);
  });

  test('cannot change a verdict', async () => {
    const onDecision = (decision: Decision) => Object.assign(decision, { allowed: true, reason: undefined });
    const app = await guardedApp({ options: { onDecision } });
    expectRefusal(await post(`${app.url}/v3`, CALL), 'KEY_REQUIRED', { upstream: app.upstream });
  });

  test('harms nothing when it throws, rejects, or never settles', async () => {
    const listeners: readonly (() => unknown)[] = [
      () => {
        throw new Error('of the listener');
      },
      () => Promise.reject(new Error('of the listener')),
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- the hostile case
      () => Promise.reject(undefined),
      () => new Promise<void>(() => undefined),
      () => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- the hostile case
        throw undefined;
      },
    ];
    for (const onDecision of listeners) {
      const app = await guardedApp({ options: { onDecision } });
      expect((await post(app.rpcUrl, CALL)).json.result).toBe('eth_blockNumber');
      expectRefusal(await post(`${app.url}/v3`, CALL), 'KEY_REQUIRED');
      expect(app.upstream.seen).toHaveLength(1);
    }
  });
});

describe('the logger', () => {
  test("never gets a key, a secret, or the upstream's credentials", async () => {
    const lines: string[] = [];
    const write = (fields: object, message: string) => lines.push(`${message} ${JSON.stringify(fields)}`);
    const logger: Logger = { info: write, warn: write, error: write };
    const gone = await recordingUpstream();
    await gone.close();
    const token = 'upstream-token-9f3b';
    const upstream = {
      url: `http://upstream-user:upstream-pass@127.0.0.1:${gone.port}/upstream-path-key?q=upstream-query`,
      headers: { 'X-Token': token },
    };
    const other = 'otherkey-otherkey-otherkey';
    const store: SettingsStore = {
      get: (apiKey) => {
        if (apiKey === other) throw new Error(`no row for ${apiKey} at postgres://u:hunter2@db`);
        if (apiKey.startsWith('bad')) return { apiKey, enabled: 'yes' } as never;
        return apiKey === KEY ? { apiKey: KEY, secrets: [{ hash: hashSecret(SECRET) }] } : undefined;
      },
    };
    const app = await guardedApp({ store, options: { logger, upstream } });
    const bad = 'badkey-badkey-badkey-badkey';
    await post(app.rpcUrl, CALL, basic(SECRET));
    await post(app.rpcUrl, CALL, basic(`${SECRET}wrong`));
    await post(app.rpcUrl, `not json ${SECRET}`);
    await post(app.rpcUrl, [CALL, call('admin_peers')], basic(SECRET));
    await post(`${app.url}/v3/${KEY}unknown`, CALL, basic(SECRET));
    await post(`${app.url}/v3/${bad}`, CALL, basic(SECRET));
    await post(`${app.url}/v3/${other}`, CALL, basic(SECRET));
    expect(lines.length).toBeGreaterThan(6);
    const log = lines.join('\n');
    const encoded = Buffer.from(`:${SECRET}`).toString('base64');
    const secrets = [KEY, bad, other, SECRET, encoded, hashSecret(SECRET), token, 'hunter2'];
    for (const text of [...secrets, 'upstream-user', 'upstream-pass', 'upstream-path', 'upstream-query']) {
      expect([text, log.includes(text)]).toEqual([text, false]);
    }
    expect(log).toContain('UPSTREAM_UNAVAILABLE');
  });
});
