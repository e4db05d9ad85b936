import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import cors from 'cors';
import express from 'express';
import type { RequestHandler } from 'express';
import { MemoryStore, RpcGuardError, hashSecret } from '../../lib';
import { rpcGuardAdmin } from '../../lib/admin';
import type { RpcGuardAdminOptions } from '../../lib/admin';
import { adminApp } from '../support/admin-app';
import { rawHttp } from '../support/raw-http';
import { thrownBy } from '../support/pieces';
import type { AdminApp } from '../support/admin-app';
import { basic, call, post } from '../support/guarded-app';
import { recordingUpstream } from '../support/upstream';

const ADDRESS = '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b';

const letIn: RequestHandler = (_req, _res, next) => {
  next();
};

function portOf(app: AdminApp): number {
  return Number(new URL(app.url).port);
}

async function newKey(app: AdminApp, settings: object = {}): Promise<{ apiKey: string; secret: string; path: string }> {
  const { status, json } = await app.api('POST', 'keys', settings);
  expect(status).toBe(201);
  return { apiKey: json.key.apiKey, secret: json.secret, path: `keys/${json.key.apiKey}` };
}

/** 200, or why the guard refuses a call with the key. */
async function verdict(app: AdminApp, apiKey: string, headers = {}, method = 'eth_blockNumber'): Promise<unknown> {
  const { status, text } = await post(`${app.url}/v3/${apiKey}`, call(method), headers);
  return /"reason":"(\w+)"/.exec(text)?.[1] ?? status;
}

describe('Mounting', () => {
  const store = new MemoryStore();

  test.each<[string, unknown, RegExp]>([
    ['no options at all', undefined, /authorize/],
    ['no authorize', { store }, /authorize: is required; it takes a function .*basicAuthAdmin/],
    ['an authorize that is no function', { store, authorize: true }, /authorize/],
    ['no store', { authorize: letIn }, /store: is required/],
    [
      'an option that there is not',
      { store, authorize: letIn, authorise: letIn },
      /authorise: does not exist; did you mean authorize\?/,
    ],
    ['a wrong upstream', { store, authorize: letIn, upstream: 'ftp://x' }, /rpcGuardAdmin\(options\).*\n.*upstream/],
    ['a publicUrl that is none', { store, authorize: letIn, publicUrl: 'rpc.example.com/' }, /publicUrl/],
    ['a host that is none', { store, authorize: letIn, hosts: ['https://admin.example.com'] }, /hosts.*admin\.example/],
    ['an onAudit that is no function', { store, authorize: letIn, onAudit: 'log' }, /onAudit/],
  ])('throws with %s', (_what, options, problem) => {
    expect(() => rpcGuardAdmin(options as RpcGuardAdminOptions)).toThrow(problem);
  });

  test('throws with a store that cannot be written', () => {
    const options = { store: { get: () => undefined }, authorize: letIn } as unknown as RpcGuardAdminOptions;
    expect(() => rpcGuardAdmin(options)).toThrow(RpcGuardError);
    expect(() => rpcGuardAdmin(options)).toThrow(
      /store: got an object; it takes a store with get, set, delete and list/,
    );
  });

  test("takes the guard's options that decide on a request, and refuses those that it does not use", () => {
    const options = {
      upstream: 'http://127.0.0.1:1',
      store,
      path: '/rpc/:apiKey',
      blockedMethods: [],
      authorize: letIn,
    };
    expect(() => rpcGuardAdmin(options)).not.toThrow();
    const more = { ...options, exposeReason: false };
    expect(() => rpcGuardAdmin(more)).toThrow(/exposeReason: does not exist; there are store, authorize/);
  });

  test('names every problem of the options in one message, and asks for no upstream', () => {
    const error = thrownBy(() => rpcGuardAdmin({ onaudit: 1, maxBatchSize: 0 } as unknown as RpcGuardAdminOptions));
    expect(error.code).toBe('ERR_RPC_GUARD_OPTIONS');
    expect(error.message.split('\n').map((line) => line.trim().replace(/:.*/, ''))).toEqual([
      'rpcGuardAdmin(options) cannot start',
      'onaudit',
      'store',
      'authorize',
      'maxBatchSize',
    ]);
  });

  test.each([4, 5] as const)('works on Express %s', async (expressVersion) => {
    const app = await adminApp({ expressVersion });
    const { path } = await newKey(app, { name: 'a' });
    expect((await app.api('GET', path)).json.key.name).toBe('a');
    expect((await app.api('GET', 'keys/%ff')).status).toBe(400);
    expect((await app.api('GET', 'keys/unknown-key')).json.error.code).toBe('KEY_UNKNOWN');
  });

  test('works behind express.json(), express.urlencoded() and cors()', async () => {
    const before = [express.json(), express.urlencoded({ extended: true }), cors()];
    const app = await adminApp({ before });
    await newKey(app, { name: 'a' });
    const form = { 'Content-Type': 'application/x-www-form-urlencoded' };
    expect((await app.api('POST', 'keys', 'name=b', form)).json.error.code).toBe('NOT_JSON');
    expect((await app.api('GET', 'keys')).json.keys).toHaveLength(1);
  });

  test.each(['/\\evil.example', '/%5Cevil.example', '//evil.example', '/\\/evil.example'])(
    'at a parameter, the redirect of %s stays on the site',
    async (path) => {
      const app = await adminApp({ at: '/:tenant' });
      const answer = await rawHttp(portOf(app), `GET ${path} HTTP/1.1\r\nHost: own.example\r\n\r\n`);
      const location = /^location: (.*)\r$/im.exec(answer)?.[1] ?? '/';
      expect(new URL(location, 'http://own.example/a').host).toBe('own.example');
    },
  );

  test('without the slash at its end the page is found, with what follows', async () => {
    const app = await adminApp();
    const answer = await fetch(`${app.url}/admin?a=1`, { redirect: 'manual' });
    expect([answer.status, answer.headers.get('location')]).toEqual([301, '/admin/?a=1']);
  });
});

describe('Access', () => {
  test('nothing is served to a caller that authorize does not let in', async () => {
    const authorize: RpcGuardAdminOptions['authorize'] = (_req, res) => {
      res.writeHead(401).end('who are you?');
    };
    const app = await adminApp({ options: { authorize } });
    for (const path of ['', 'app.js', 'openapi.json', 'api/keys', 'api/meta', 'nothing']) {
      const answer = await fetch(app.adminUrl + path);
      expect([path, answer.status, await answer.text()]).toEqual([path, 401, 'who are you?']);
    }
    expect((await app.api('POST', 'keys', { name: 'a' })).status).toBe(401);
    expect(await app.store.list()).toEqual([]);
  });

  test.each<[string, RpcGuardAdminOptions['authorize']]>([
    [
      'throws',
      () => {
        throw new Error('rgs_detail');
      },
    ],
    ['rejects', () => Promise.reject(new Error('rgs_detail'))],
    [
      'calls next with an error',
      (_req, _res, next) => {
        next(new Error('rgs_detail'));
      },
    ],
  ])('nobody is let in by an authorize that %s', async (_what, authorize) => {
    const app = await adminApp({ options: { authorize } });
    const { status, text } = await app.api('GET', 'keys');
    expect(status).toBe(500);
    expect(text).not.toContain('rgs_detail');
  });

  test.each<[string, Record<string, string>]>([
    ['another origin', { Origin: 'https://evil.example' }],
    ['a sandboxed frame', { Origin: 'null' }],
    ['the same host on another port', { Origin: 'http://127.0.0.1:1' }],
    ['another site, by what the browser says', { 'Sec-Fetch-Site': 'cross-site' }],
    ['a sibling domain', { 'Sec-Fetch-Site': 'same-site', Origin: 'https://other.example.com' }],
    ['a page that the browser does not name', { 'Sec-Fetch-Site': 'none', Origin: 'https://evil.example' }],
  ])('a request from %s is refused', async (_what, headers) => {
    const app = await adminApp();
    const { path } = await newKey(app);
    for (const [method, at, body] of [
      ['GET', path, undefined],
      ['POST', 'keys', { name: 'b' }],
      ['DELETE', path, undefined],
    ] as const) {
      const { status, json } = await app.api(method, at, body, headers);
      expect([status, json.error.code]).toEqual([403, 'CROSS_ORIGIN']);
    }
    expect(await app.store.list()).toHaveLength(1);
  });

  test('a request of the page itself, and one of a program, are let in', async () => {
    const app = await adminApp();
    for (const headers of [{}, { Origin: app.url }, { Origin: app.url, 'Sec-Fetch-Site': 'same-origin' }]) {
      expect((await app.api('GET', 'keys', undefined, headers as Record<string, string>)).status).toBe(200);
    }
  });

  test.each(['[', '', 'a b', 'own.example/path', 'name@own.example', 'own.example:port', '%zz'])(
    'a request to the host "%s" is refused',
    async (host) => {
      const app = await adminApp();
      for (const path of ['', 'api/meta']) {
        const answer = await rawHttp(portOf(app), `GET /admin/${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
        expect(answer).toMatch(/^HTTP\/1\.1 400 /);
        expect(answer).toContain('BAD_REQUEST');
      }
      expect(app.logged).toEqual([]);
    },
  );

  describe('with publicUrl', () => {
    const publicUrl = 'https://rpc.example.com/eth';
    const ask = async (app: AdminApp, host: string) =>
      rawHttp(portOf(app), `GET /admin/api/keys HTTP/1.1\r\nHost: ${host}\r\n\r\n`);

    test.each(['rebound.example', 'rebound.example:8545', 'example.com', 'rpc.example.com.', 'x.rpc.example.com'])(
      'a request to %s is refused before anybody is asked to log in, and the answer says what to write',
      async (host) => {
        const authorize = jest.fn(letIn);
        const app = await adminApp({ options: { publicUrl, authorize } });
        const answer = await ask(app, host);
        expect(answer).toMatch(/^HTTP\/1\.1 421 /);
        expect(answer).toMatch(/UNKNOWN_HOST.*publicUrl of rpcGuardAdmin says rpc\.example\.com.*add it to hosts/);
        expect(authorize).not.toHaveBeenCalled();
      },
    );

    test.each([
      'rpc.example.com',
      'RPC.example.com:8443',
      'admin.example.com',
      'localhost:8545',
      '10.0.0.7',
      '[::1]:80',
    ])('a request to %s is answered', async (host) => {
      const app = await adminApp({ options: { publicUrl, hosts: ['Admin.example.com'] } });
      expect(await ask(app, host)).toMatch(/^HTTP\/1\.1 200 /);
    });
  });

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    '',
  ])('a body of type "%s" is refused', async (type) => {
    const app = await adminApp();
    const { status, json } = await app.api('POST', 'keys', '{"name":"a"}', { 'Content-Type': type });
    expect([status, json.error.code]).toEqual([415, 'NOT_JSON']);
    expect(await app.store.list()).toEqual([]);
  });

  test('every answer forbids storing, framing and foreign content', async () => {
    const app = await adminApp();
    for (const path of ['', 'app.js', 'app.css', 'openapi.json', 'api/keys', 'api/nothing']) {
      const { headers } = await fetch(app.adminUrl + path);
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.has('strict-transport-security')).toBe(false);
      expect(headers.get('content-security-policy')!.split(';').sort()).toEqual(
        [
          "default-src 'none'",
          "script-src 'self'",
          "style-src 'self'",
          "img-src 'self' data:",
          "connect-src 'self'",
          "base-uri 'none'",
          "form-action 'none'",
          "frame-ancestors 'none'",
          "require-trusted-types-for 'script'",
          "trusted-types 'none'",
        ].sort(),
      );
    }
  });
});

describe('Keys', () => {
  test('a key is made, read, changed and deleted', async () => {
    const app = await adminApp();
    const { apiKey, path, secret } = await newKey(app, { name: 'a', requireSecret: true });
    expect(await verdict(app, apiKey)).toBe('SECRET_REQUIRED');
    expect(await verdict(app, apiKey, basic(secret))).toBe(200);
    expect((await app.api('PATCH', path, { version: 1, name: 'b', enabled: false })).json.key).toMatchObject({
      name: 'b',
      enabled: false,
      requireSecret: true,
      version: 2,
    });
    expect(await verdict(app, apiKey, basic(secret))).toBe('KEY_DISABLED');
    expect((await app.api('DELETE', `${path}?version=2`)).status).toBe(204);
    expect(await verdict(app, apiKey)).toBe('KEY_UNKNOWN');
    expect((await app.api('GET', path)).status).toBe(404);
  });

  test('keys are listed by page, name and state', async () => {
    const app = await adminApp();
    for (const name of ['Checkout', 'checker', 'other']) await newKey(app, { name, enabled: name !== 'other' });
    const first = (await app.api('GET', 'keys?search=CHECK&limit=1')).json;
    const second = (await app.api('GET', `keys?search=CHECK&limit=1&after=${first.next ?? ''}`)).json;
    const names = [...first.keys, ...second.keys].map(({ name }) => name);
    expect(names.sort()).toEqual(['Checkout', 'checker']);
    expect(second.next).toBeNull();
    expect((await app.api('GET', 'keys?state=disabled')).json.keys[0]?.name).toBe('other');
    expect((await app.api('GET', 'keys?state=off')).status).toBe(400);
    expect((await app.api('GET', 'keys?limit=0')).status).toBe(400);
    expect((await app.api('GET', 'keys?limit=many')).status).toBe(400);
  });

  test('keys are sorted by name, or as the caller asks', async () => {
    const app = await adminApp();
    for (const name of ['beta', 'Alpha', 'gamma']) await newKey(app, { name });
    const namesOf = async (path: string) => (await app.api('GET', path)).json.keys.map(({ name }) => name);
    expect(await namesOf('keys')).toEqual(['Alpha', 'beta', 'gamma']);
    expect(await namesOf('keys?sort=name&order=desc')).toEqual(['gamma', 'beta', 'Alpha']);
    const { next } = (await app.api('GET', 'keys?sort=updated&order=desc&limit=2')).json;
    expect(await namesOf(`keys?sort=updated&order=desc&after=${next ?? ''}`)).toHaveLength(1);
    for (const wrong of ['sort=age', 'order=up']) expect((await app.api('GET', `keys?${wrong}`)).status).toBe(400);
  });

  test('keys that do not parse are reported with each page', async () => {
    const app = await adminApp();
    expect((await app.api('GET', 'keys')).json.problems).toEqual([]);
    const problem = { keyHint: 'bad…', reason: 'settings: has no such member: "x"' };
    Object.assign(app.store, { problems: () => [problem] });
    expect((await app.api('GET', 'keys')).json.problems).toEqual([problem]);
  });

  test('secrets are added, rotated with a grace time and revoked; each is shown once, and no hash ever', async () => {
    const app = await adminApp();
    const { apiKey, path } = await newKey(app, { requireSecret: false });
    const added = await app.api('POST', `${path}/secrets`, { label: 'one', expiresAt: '2999-01-01T00:00:00Z' });
    expect(added.status).toBe(201);
    const { secret, secretId } = added.json;
    const renamed = await app.api('PATCH', `${path}/secrets/${secretId}`, { label: 'billing' });
    expect(renamed.json.key.secrets[0]).toMatchObject({ id: secretId, label: 'billing' });
    const rotated = await app.api('POST', `${path}/secrets/${secretId}/rotate`, { graceMs: 60_000 });
    expect(rotated.json.key.secrets).toHaveLength(2);
    expect(await verdict(app, apiKey, basic(secret))).toBe(200);
    expect(await verdict(app, apiKey, basic(rotated.json.secret))).toBe(200);
    const revoked = await app.api('DELETE', `${path}/secrets/${secretId}`);
    expect(revoked.json.key.secrets).toHaveLength(1);
    expect(await verdict(app, apiKey, basic(secret))).toBe('SECRET_INVALID');

    const seen = [await app.api('GET', path), await app.api('GET', 'keys'), revoked].map(({ text }) => text).join('');
    const told = JSON.stringify(app.audit) + app.logged.join('');
    for (const each of [secret, rotated.json.secret]) {
      expect(seen + told).not.toContain(each);
      expect(seen + told + added.text + rotated.text).not.toContain(hashSecret(each));
    }
  });

  test('entries are added and taken off, and the guard follows', async () => {
    const app = await adminApp();
    const { apiKey, path } = await newKey(app);
    const list = `${path}/allowlists/methods`;
    expect((await app.api('POST', list, { entries: ['eth_call', 'net_*'] })).json.key.allowlists.methods).toHaveLength(
      2,
    );
    expect(await verdict(app, apiKey)).toBe('METHOD_NOT_ALLOWED');
    expect((await app.api('DELETE', `${list}?entry=eth_call&entry=net_*`)).json.key.allowlists.methods).toEqual([]);
    expect(await verdict(app, apiKey)).toBe(200);
  });

  test('warnings come with a key', async () => {
    const app = await adminApp();
    const { path } = await newKey(app, { allowlists: { origins: ['https://a.example.com'] } });
    const { warnings } = (await app.api('GET', path)).json.key;
    expect(warnings.map(({ code }) => code)).toEqual(['ORIGIN_NEEDED']);
  });

  test('with the guard’s credits, a key is warned of and a request tested by what calls cost', async () => {
    const app = await adminApp({ options: { credits: { eth_getLogs: 150 }, limitWaitMs: 0 } });
    const { path } = await newKey(app, { limits: { perSecond: 50, perDay: 100 } });
    const { warnings } = (await app.api('GET', path)).json.key;
    expect(warnings).toContainEqual(expect.objectContaining({ code: 'BURST_BELOW_COST', at: 'limits' }));
    const tested = (await app.api('POST', `${path}/test`, { method: 'eth_getLogs', params: [{}] })).json;
    expect(tested).toMatchObject({ status: 402, limits: { step: 'limits', entry: 'limits.perDay' } });
  });

  test('the audit names who made each change', async () => {
    const actor = () => 'ann';
    const app = await adminApp({ options: { actor } });
    const { path } = await newKey(app);
    await app.api('DELETE', path);
    expect(app.audit.map(({ actor: by, action }) => [by, action])).toEqual([
      ['ann', 'key.create'],
      ['ann', 'key.delete'],
    ]);
  });
});

describe('Settings as a document', () => {
  test('are exported without secrets and imported into another key; a dry run writes nothing', async () => {
    const app = await adminApp();
    const from = await newKey(app, { name: 'a', requireSecret: true, allowlists: { methods: ['eth_*'] } });
    const to = await newKey(app, { name: 'b', allowlists: { origins: ['https://b.example'] } });
    const { json: document, text } = await app.api('GET', `${from.path}/document`);
    expect(document).toMatchObject({ apiKey: from.apiKey, name: 'a', allowlists: { methods: ['eth_*'], origins: [] } });
    expect(text).not.toMatch(/secrets|hash|version|rgs_/);

    const dry = (await app.api('POST', `${to.path}/document`, { document, dryRun: true })).json;
    const differences = [
      { at: 'name', words: ['"b" → "a"'] },
      { at: 'requireSecret', words: ['false → true'] },
      { at: 'allowlists.origins', words: ['removes https://b.example', 'leaves no list: everything passes'] },
      { at: 'allowlists.methods', words: ['adds eth_*'] },
    ];
    expect(dry).toMatchObject({ key: { name: 'b', version: 1 }, documentOf: from.apiKey, ignored: [] });
    for (const one of differences) expect(dry.differences).toContainEqual(expect.objectContaining(one));
    expect(dry.differences).toHaveLength(differences.length);
    expect((await app.api('GET', to.path)).json.key).toMatchObject({ name: 'b', version: 1 });

    const { json } = await app.api('POST', `${to.path}/document`, { document, version: 1 });
    expect(json.key).toMatchObject({ apiKey: to.apiKey, name: 'a', version: 2, allowlists: { methods: ['eth_*'] } });
    expect(app.audit.map(({ action }) => action)).toEqual(['key.create', 'key.create', 'key.update']);
    const again = await app.api('POST', `${to.path}/document`, { document: { ...json.key, name: 'a' }, version: 2 });
    expect(again.json).toMatchObject({ differences: [], key: { version: 2 } });
    expect(again.json).toHaveProperty('ignored', ['secrets', 'version', 'createdAt', 'updatedAt', 'warnings']);
  });

  test.each<[string, object, number]>([
    ['a member that there is not', { document: { requireSecrets: true }, version: 1 }, 400],
    ['an entry that is none', { document: { allowlists: { origins: ['a.example/x'] } }, dryRun: true }, 400],
    ['no document', { version: 1 }, 400],
    ['no version', { document: { name: 'c' } }, 400],
    ['a dry run that is no switch', { document: { name: 'c' }, dryRun: 1 }, 400],
    ['a stale version', { document: { name: 'c' }, version: 7 }, 409],
  ])('with %s are refused, and nothing is written', async (_what, given, status) => {
    const app = await adminApp();
    const { path } = await newKey(app, { name: 'a' });
    expect((await app.api('POST', `${path}/document`, given)).status).toBe(status);
    expect((await app.api('GET', path)).json.key).toMatchObject({ name: 'a', version: 1 });
  });
});

describe('Refusals', () => {
  test('a stale version is refused with the key as it is now, and nothing is lost', async () => {
    const app = await adminApp();
    const { path } = await newKey(app, { name: 'a' });
    await app.api('PATCH', path, { version: 1, name: 'b' });
    for (const answer of [
      await app.api('PATCH', path, { version: 1, name: 'c' }),
      await app.api('DELETE', `${path}?version=1`),
      await app.api('DELETE', `${path}?version=x`),
    ]) {
      expect([answer.status, answer.json.error.code]).toEqual([409, 'STALE_VERSION']);
      expect(answer.json.error.current).toMatchObject({ name: 'b', version: 2 });
    }
    expect((await app.api('GET', path)).json.key.name).toBe('b');
  });

  test('of two changes at once for one version one is refused', async () => {
    const app = await adminApp();
    const { path } = await newKey(app);
    const both = await Promise.all(['x', 'y'].map((name) => app.api('PATCH', path, { version: 1, name })));
    expect(both.map(({ status }) => status).sort()).toEqual([200, 409]);
  });

  test('entries added at once are all kept', async () => {
    const app = await adminApp();
    const { path } = await newKey(app);
    const entries = Array.from({ length: 30 }, (_, n) => `eth_method${String(n)}`);
    await Promise.all(entries.map((entry) => app.api('POST', `${path}/allowlists/methods`, { entries: [entry] })));
    expect((await app.api('GET', path)).json.key.allowlists.methods).toEqual(expect.arrayContaining(entries));
  });

  test.each<[string, string, string, unknown, string]>([
    ['a key with an unknown member', 'POST', 'keys', { nme: 'a' }, 'INVALID'],
    ['a key with a wrong type', 'POST', 'keys', { requireSecret: 'yes' }, 'INVALID'],
    ['a key that can be none', 'POST', 'keys', { apiKey: 'short' }, 'INVALID'],
    ['a key with its own hash', 'POST', 'keys', { secrets: [{ hash: 'a'.repeat(64) }] }, 'INVALID'],
    ['a change without a version', 'PATCH', '@', { name: 'b' }, 'BAD_REQUEST'],
    ['a change of what cannot be changed', 'PATCH', '@', { version: 1, apiKey: 'another-key' }, 'INVALID'],
    ['a change of secrets', 'PATCH', '@', { version: 1, secrets: [] }, 'INVALID'],
    ['a change of an unknown list', 'PATCH', '@', { version: 1, allowlists: { ips: [] } }, 'INVALID'],
    ['a bad entry', 'POST', '@/allowlists/origins', { entries: ['https://ok.example', 'not an origin/'] }, 'INVALID'],
    ['a bad address', 'POST', '@/allowlists/contractAddresses', { entries: [`${ADDRESS}0`] }, 'INVALID'],
    ['a 31st entry', 'POST', '@/allowlists/methods', { entries: manyMethods(31) }, 'INVALID'],
    ['entries that are none', 'POST', '@/allowlists/methods', { entries: 'eth_call' }, 'BAD_REQUEST'],
    ['no entries', 'POST', '@/allowlists/methods', { entries: [] }, 'INVALID'],
    ['entries with an unknown member', 'POST', '@/allowlists/methods', { entries: ['a'], force: true }, 'BAD_REQUEST'],
    ['an unknown list', 'POST', '@/allowlists/ips', { entries: ['::1'] }, 'LIST_UNKNOWN'],
    ['a list named like a member', 'POST', '@/allowlists/__proto__', { entries: ['x'] }, 'LIST_UNKNOWN'],
    ['an entry that is not listed', 'DELETE', '@/allowlists/methods?entry=eth_call', undefined, 'INVALID'],
    ['no entry to take off', 'DELETE', '@/allowlists/methods', undefined, 'INVALID'],
    ['a secret with an unknown member', 'POST', '@/secrets', { lable: 'x' }, 'INVALID'],
    ['a secret that has expired', 'POST', '@/secrets', { expiresAt: '2001-01-01T00:00:00Z' }, 'INVALID'],
    ['a secret that expires at no time', 'POST', '@/secrets', { expiresAt: 'tomorrow' }, 'INVALID'],
    ['a rotation without a grace time', 'POST', '@/secrets/x/rotate', {}, 'INVALID'],
    ['a change of an unknown secret', 'PATCH', '@/secrets/x', { label: 'a' }, 'SECRET_UNKNOWN'],
    ['a change of what a secret does not have', 'PATCH', '@/secrets/x', { hash: 'a' }, 'INVALID'],
    ['a rotation of an unknown secret', 'POST', '@/secrets/x/rotate', { graceMs: 0 }, 'SECRET_UNKNOWN'],
    ['the end of an unknown secret', 'DELETE', '@/secrets/x', undefined, 'SECRET_UNKNOWN'],
    ['a change of an unknown key', 'PATCH', 'keys/unknown-key', { version: 1 }, 'KEY_UNKNOWN'],
    ['a test with an unknown member', 'POST', '@/test', { method: 'eth_call', forward: true }, 'BAD_REQUEST'],
    ['a test of nothing', 'POST', '@/test', {}, 'BAD_REQUEST'],
    ['a test that cannot be sent', 'POST', '@/test', { method: 'eth_chainId', send: true }, 'BAD_REQUEST'],
    ['JSON that is cut off', 'POST', 'keys', '{"name":', 'BAD_REQUEST'],
    ['an array', 'POST', 'keys', [], 'BAD_REQUEST'],
    ['null', 'POST', 'keys', 'null', 'BAD_REQUEST'],
    ['an address that there is not', 'GET', 'nothing', undefined, 'NOT_FOUND'],
    ['a method that there is not', 'PUT', '@', { version: 1 }, 'NOT_FOUND'],
  ])('%s is refused, and nothing is written', async (_what, method, path, body, code) => {
    const app = await adminApp();
    const key = await newKey(app, { name: 'a' });
    const before = await app.store.list();
    const answer = await app.api(method, path.replace('@', key.path), body);
    expect(answer.json.error.code).toBe(code);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    expect(answer.json.error.message.length).toBeGreaterThan(10);
    expect(await app.store.list()).toEqual(before);
    expect(app.audit).toHaveLength(1);
  });

  test('a key that exists already is not written over', async () => {
    const app = await adminApp();
    await newKey(app, { apiKey: 'a-known-key', name: 'a' });
    const { status, json } = await app.api('POST', 'keys', { apiKey: 'a-known-key', name: 'b' });
    expect([status, json.error.code]).toEqual([409, 'KEY_EXISTS']);
    expect((await app.store.get('a-known-key'))?.name).toBe('a');
  });

  test('a body that is too large is refused', async () => {
    const app = await adminApp({ options: { maxBodyBytes: 1000 } });
    const { status, json } = await app.api('POST', 'keys', { name: 'a'.repeat(100_000) });
    expect([status, json.error.code]).toEqual([413, 'BODY_TOO_LARGE']);
  });

  test('a store that is down is reported, without its address', async () => {
    const store = new MemoryStore();
    const app = await adminApp({ options: { store } });
    const { path } = await newKey(app);
    const down = () => Promise.reject(new Error('connect ECONNREFUSED redis://user:rgs_word@10.0.0.1'));
    Object.assign(store, { get: down, set: down, list: down });
    for (const answer of [
      await app.api('GET', path),
      await app.api('GET', 'keys'),
      await app.api('POST', 'keys', {}),
      await app.api('PATCH', path, { version: 1, name: 'b' }),
      await app.api('POST', `${path}/test`, { method: 'eth_chainId' }),
    ]) {
      expect([answer.status, answer.json.error.code]).toEqual([503, 'STORE_UNAVAILABLE']);
      expect(answer.text).not.toMatch(/10\.0\.0\.1|rgs_word/);
    }
    expect(app.logged.join('')).not.toContain('rgs_word');
  });
});

describe('Previews and tests', () => {
  test.each<[string, string[], string, string | null]>([
    ['origins', ['https://*.example.com'], 'https://a.example.com', 'https://*.example.com'],
    ['origins', ['https://*.example.com'], 'https://example.com', null],
    ['userAgents', ['curl', 'Android'], 'Mozilla/5.0 (Linux; Android 15)', 'Android'],
    ['contractAddresses', [ADDRESS], ADDRESS.toUpperCase().replace('X', 'x'), ADDRESS],
    ['contractAddresses', [ADDRESS], 'vitalik.eth', null],
    ['methods', ['eth_get*'], 'eth_getLogs', 'eth_get*'],
    ['methods', ['eth_get*'], 'eth_call', null],
  ])('%s: which of %j matches %s', async (type, entries, sample, matchedBy) => {
    const app = await adminApp();
    const { json } = await app.api('POST', `allowlists/${type}/check`, { entries, samples: [sample] });
    expect(json).toEqual({
      entries: entries.map((entry) => ({ entry, problem: null, doubt: null })),
      samples: [{ sample, matchedBy }],
    });
  });

  test('a wrong entry gets its reason, and matches nothing', async () => {
    const app = await adminApp();
    const { json } = await app.api('POST', 'allowlists/methods/check', { entries: ['eth *'], samples: ['eth_x'] });
    expect(json.entries[0]?.problem).toMatch(/is neither a method name nor a prefix/);
    expect(json.samples[0]?.matchedBy).toBeNull();
  });

  test('a tested request gets its verdict step by step, and is not forwarded', async () => {
    const app = await adminApp({ options: { blockedMethods: ['acme_*'] } });
    const { path, secret } = await newKey(app, {
      requireSecret: true,
      allowlists: { origins: ['https://*.example.com'], methods: ['eth_get*'] },
    });
    const ask = async (request: object) => (await app.api('POST', `${path}/test`, request)).json;
    const refused = await ask({ method: 'acme_x', headers: { Origin: 'https://example.com' } });
    expect(refused).toMatchObject({ allowed: false, status: 401, reason: 'SECRET_REQUIRED', forwarded: null });
    expect(refused.steps.map(({ step, outcome }) => `${step} ${outcome}`)).toEqual([
      'key pass',
      'secret refuse',
      'userAgents skip',
      'origins refuse',
      'body pass',
    ]);
    expect(refused.calls[0]?.steps[1]).toMatchObject({ outcome: 'refuse', reason: 'METHOD_BLOCKED', entry: 'acme_*' });

    const headers = { Origin: 'https://a.example.com', 'User-Agent': '' };
    const allowed = await ask({ method: 'eth_getLogs', params: [{}], headers, secret });
    expect(allowed).toMatchObject({ allowed: true, reason: null, status: 200 });
    expect(allowed.steps[3]).toMatchObject({ outcome: 'pass', entry: 'https://*.example.com' });
    expect(allowed.forwarded).toBe('{"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{}]}');
    expect(JSON.stringify(allowed)).not.toContain(secret);
    expect(app.upstream.seen).toEqual([]);
  });

  test('a tested request is sent to the upstream when asked, without its refused calls', async () => {
    const app = await adminApp({ sends: true });
    const { path } = await newKey(app, { allowlists: { methods: ['eth_chainId'] } });
    const ask = async (request: object) => (await app.api('POST', `${path}/test`, { ...request, send: true })).json;
    expect((await ask({ method: 'eth_accounts' })).answer).toBeUndefined();
    expect(app.upstream.seen).toEqual([]);
    const { answer } = await ask({ method: 'eth_chainId' });
    expect(answer?.status).toBe(200);
    expect(JSON.parse(answer!.body)).toEqual({ jsonrpc: '2.0', id: 1, result: 'eth_chainId' });
    const mixed = await ask({ body: JSON.stringify([call('eth_chainId', [], 7), call('eth_accounts', [], 8)]) });
    expect(JSON.parse(mixed.answer!.body)).toEqual([{ jsonrpc: '2.0', id: 7, result: 'eth_chainId' }]);
    await app.upstream.close();
    expect((await ask({ method: 'eth_chainId' })).answer).toEqual({ status: 502, body: 'upstream unavailable' });
  });

  test('a tested request is answered as a caller is where the upstream asks to back off', async () => {
    const busy = await recordingUpstream((_req, res) => res.writeHead(429).end('slow down'));
    const app = await adminApp({ options: { upstream: busy.url } });
    const { path } = await newKey(app);
    const { answer } = (await app.api('POST', `${path}/test`, { method: 'eth_chainId', send: true })).json;
    expect(answer).toEqual({ status: 429, body: 'upstream unavailable' });
  });

  test('the lines to paste show where callers reach the guard', async () => {
    const app = await adminApp();
    expect((await app.api('GET', 'meta')).json).toMatchObject({
      httpUrl: `${app.url}/v3/YOUR-API-KEY`,
      wsUrl: `${app.url.replace('http', 'ws')}/ws/v3/YOUR-API-KEY`,
      canSend: false,
    });
    const elsewhere = await adminApp({ options: { publicUrl: 'https://rpc.example.com/eth', path: '/:apiKey/rpc' } });
    expect((await elsewhere.api('GET', 'meta')).json).toMatchObject({
      httpUrl: 'https://rpc.example.com/eth/YOUR-API-KEY/rpc',
      wsUrl: 'wss://rpc.example.com/ws/v3/YOUR-API-KEY',
    });
  });
});

test('the history is read ahead when the page is opened, and not for programs that only use the API', async () => {
  const store = new MemoryStore();
  const preload = jest.fn();
  Object.assign(store.audit, { preload });
  const app = await adminApp({ options: { store } });
  await app.api('POST', 'keys', {});
  await app.api('GET', 'keys');
  expect(preload).not.toHaveBeenCalled();
  await app.api('GET', 'meta');
  expect(preload).toHaveBeenCalledTimes(1);
});

test('a secret is changed if the key is still of the version that is given, and shows the key as it is if not', async () => {
  const app = await adminApp();
  const made = (await app.api('POST', 'keys', { secret: {} })).json;
  const path = `keys/${made.key.apiKey}/secrets/${made.secretId}`;
  expect((await app.api('PATCH', path, { label: 'first', version: 1 })).json.key.version).toBe(2);
  const { status, json } = await app.api('PATCH', path, { label: 'second', version: 1 });
  expect([status, json.error.code]).toEqual([409, 'STALE_VERSION']);
  expect(json.error.current).toMatchObject({ version: 2, secrets: [{ label: 'first' }] });
  expect((await app.api('PATCH', path, { label: 'third' })).json.key.version).toBe(3);
  expect((await app.api('PATCH', path, { label: 'x', version: '3' })).status).toBe(400);
});

describe('The API description', () => {
  interface Description {
    readonly paths: Record<string, Record<string, { responses?: object }>>;
  }
  const file = readFileSync(join(__dirname, '../../lib/admin/openapi.json'), 'utf8');

  test('is served', async () => {
    const app = await adminApp();
    expect(await (await fetch(`${app.adminUrl}openapi.json`)).json()).toEqual(JSON.parse(file));
  });

  test('describes every route, and no other', () => {
    const source = readFileSync(join(__dirname, '../../lib/admin/api.ts'), 'utf8');
    const routes = [...source.matchAll(/ \['(\w+)', '([^']+)', (\d+)/g)].map(
      ([, method, path, status]) => `${method!} /api${path!.replace(/:(\w+)/g, '{$1}')} ${status!}`,
    );
    const described = Object.entries((JSON.parse(file) as Description).paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([method]) => method !== 'parameters')
        .map(([method, { responses }]) => {
          const success = Object.keys(responses ?? {}).find((status) => status.startsWith('2'));
          return `${method} ${path} ${success ?? ''}`;
        }),
    );
    expect(described.sort()).toEqual(routes.sort());
    expect(routes.length).toBeGreaterThan(10);
  });
});

function manyMethods(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `eth_method${String(n)}`);
}
