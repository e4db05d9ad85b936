import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Browser, Page } from 'playwright-core';
import { WebSocket } from 'ws';
import { startAnvil } from './support/anvil';
import { inBrowser, launchChromium } from './support/chromium';
import { endAfterTest } from './support/cleanup';
import { until } from './support/until';

/** `npm run demo` without the build in front: it needs an up-to-date dist/. */
const DEMO = resolve(__dirname, '../demo-app/start.mjs');
/** What http-proxy-middleware 3 makes Node 22 and later say. */
const HTTP_PROXYS_WARNING = /^\(node:\d+\) \[DEP0060\].*\n\(Use `node --trace-deprecation.*\n/m;

/** npm takes a second to find what is installed. */
const WITHOUT_NPM = 'npx() { node_modules/.bin/"$@"; }';

const run = promisify(execFile);

interface Line {
  readonly curl: string;
  /** `HTTP 403`, and what follows. */
  readonly status: string;
  readonly said: string;
}

/** A WebSocket and what is typed there, each with its answer. */
interface Transcript {
  readonly wscat: string;
  readonly typed: readonly { readonly call: string; readonly said: string }[];
  /** How the handshake was refused, if it was. */
  readonly status: string | undefined;
  readonly said: string | undefined;
}

interface Demo {
  readonly output: string;
  readonly url: string;
  readonly secret: string;
  readonly anvilPid: number;
  readonly lines: readonly Line[];
  readonly transcripts: readonly Transcript[];
  /** Ends it and waits for that. */
  end(signal?: NodeJS.Signals): Promise<Ended>;
  readonly ended: Promise<Ended>;
}

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

function keysFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'rpc-guard-demo-'));
  endAfterTest(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'keys.json');
}

/** All that the guard says by itself. */
const WHERE = 'rpc-guard: the guard answers {"http":"POST /v3/:apiKey","webSocket":"/ws/v3/:apiKey"}\n';

/** The demo as a process of its own, ended after the test. */
async function startDemo(environment: Record<string, string> = {}): Promise<Demo> {
  const demo = await launchDemo({ KEYS_FILE: keysFile(), ...environment });
  endAfterTest(() => demo.end());
  return demo;
}

/** Resolves once it has said everything that it says at its start, or has ended before. */
async function launchDemo(environment: Record<string, string>): Promise<Demo> {
  const env = { ...process.env, PORT: '0', NO_COLOR: '1', ...environment };
  const child = spawn(process.execPath, [DEMO], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const ended = once(child, 'close').then(() => {
    return { code: child.exitCode, output, errors: errors.replace(HTTP_PROXYS_WARNING, '') };
  });
  const end = (signal: NodeJS.Signals = 'SIGINT') => {
    child.kill(signal);
    return ended;
  };
  await new Promise<void>((ready) => {
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes('Ctrl-C')) ready();
    });
    void ended.then(() => ready());
  });
  return {
    output,
    url: /Page +(\S+)\/$/m.exec(output)?.[1] ?? '',
    secret: /Secret +(\S+)/.exec(output)?.[1] ?? '',
    anvilPid: Number(/pid (\d+)/.exec(output)?.[1]),
    lines: [...output.matchAll(/^ {2}(curl [^]*?)\n {2}(HTTP \d+) {2}(.*)$/gm)].map(
      ([, curl = '', status = '', said = '']) => ({ curl, status, said }),
    ),
    transcripts: [...output.matchAll(/^ {2}(npx wscat (?:.*\\\n)?.*)\n(?: {2}HTTP (\d+) {2}(.*))?([^#]*)/gm)].map(
      ([, wscat = '', status, said, rest = '']) => ({
        wscat,
        status,
        said,
        typed: [...rest.matchAll(/^ {2}(\{.*)\n {2}< (.*)$/gm)].map(([, call = '', said = '']) => ({ call, said })),
      }),
    ),
    end,
    ended,
  };
}

/** What the line answers when it is pasted into a shell, in the words the demo uses. */
async function paste({ curl }: Line): Promise<string> {
  const { stdout } = await run('bash', ['-c', curl.replace(/^curl/, `curl -s -w '\\n%{http_code}'`)]);
  const [, body = '', status = ''] = /^([^]*)\n(\d+)$/.exec(stdout) ?? [];
  const answers = [JSON.parse(body) as Answer | Answer[]].flat();
  return `HTTP ${status}  ${answers.map(inShort).join(', ')}`;
}

interface Answer {
  readonly id?: number;
  readonly method?: string;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data: { readonly reason: string } };
}

function inShort({ result, error }: Answer): string {
  return error ? `${error.data.reason}  ${error.code} ${error.message}` : `result ${JSON.stringify(result)}`;
}

/** What wscat shows when its line is pasted into a shell and the calls are typed, or what it says at its end. */
async function typeIn({ wscat, typed }: Transcript): Promise<{ answers: string[]; blocks: number; errors: string }> {
  const child = spawn('bash', ['-c', `${WITHOUT_NPM}\n${wscat}`], { cwd: resolve(__dirname, '..') });
  const closed = once(child, 'close');
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const messages = () => [...output.matchAll(/\{.*\}$/gm)].map(([message]) => JSON.parse(message) as Answer);
  const answerTo = (call: string) => messages().find(({ id }) => id === (JSON.parse(call) as Answer).id);
  const answers: string[] = [];
  for (const { call } of typed) {
    // Without a terminal wscat does not say when it is connected, and drops what is typed before.
    let answer: Answer | undefined;
    while (answer === undefined && child.exitCode === null) {
      child.stdin.write(`${call}\n`);
      await sleep(150);
      answer = answerTo(call);
    }
    if (answer) answers.push(inShort(answer));
  }
  const blocks = () => messages().filter(({ method }) => method === 'eth_subscription').length;
  while (wscat.includes('--auth') && blocks() === 0) await sleep(100);
  if (typed.length > 0) child.stdin.end();
  await closed;
  return { answers, blocks: blocks(), errors };
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

jest.setTimeout(60_000);

describe('one demo', () => {
  let demo: Demo & { readonly keysFile: string };
  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rpc-guard-demo-'));
    const file = join(folder, 'keys.json');
    demo = { ...(await launchDemo({ KEYS_FILE: file })), keysFile: file };
  });
  afterAll(async () => {
    await demo.end();
    rmSync(dirname(demo.keysFile), { recursive: true, force: true });
  });

  test('every printed line answers what is printed under it', async () => {
    const reasons = new Set(demo.lines.flatMap(({ said }) => /[A-Z]+_[A-Z_]+/.exec(said) ?? []));
    expect([...reasons].sort()).toEqual([
      'BATCH_TOO_LARGE',
      'BODY_TOO_LARGE',
      'CONTRACT_ADDRESS_NOT_ALLOWED',
      'DUPLICATE_HEADER',
      'INVALID_REQUEST',
      'KEY_DISABLED',
      'KEY_REQUIRED',
      'KEY_UNKNOWN',
      'METHOD_BLOCKED',
      'METHOD_NOT_ALLOWED',
      'METHOD_NOT_POST',
      'ORIGIN_NOT_ALLOWED',
      'PARSE_ERROR',
      'SECRET_INVALID',
      'SECRET_REQUIRED',
      'UNSUPPORTED_ENCODING',
      'USER_AGENT_NOT_ALLOWED',
    ]);
    expect(demo.lines.filter(({ status }) => status === 'HTTP 200')).toHaveLength(4);
    for (const line of demo.lines) {
      const answered = await paste(line);
      // A block may have been made meanwhile.
      const steady = (text: string) =>
        line.curl.includes('eth_blockNumber') ? text.replace(/"0x\w+"/, '"0x…"') : text;
      expect(steady(answered)).toBe(steady(`${line.status}  ${line.said}`));
    }
    for (const line of demo.output.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
  });

  test('every printed wscat line, with what is typed there, answers what is printed under it', async () => {
    expect(demo.transcripts.map(({ status, typed }) => status ?? typed.map(({ said }) => said.split(' ')[0]))).toEqual([
      ['result', 'METHOD_BLOCKED', 'result'],
      ['METHOD_NOT_ALLOWED', 'CONTRACT_ADDRESS_NOT_ALLOWED', 'result'],
      '401',
      '403',
    ]);
    expect(demo.output).toMatch(/< eth_subscription {2}block 0x\w+, and so on/);
    // Neither the newest block nor the name of a subscription comes twice.
    const steady = (text: string) => text.replace(/^result "0x(?!7a69).*"$/, 'result "0x…"');
    const shown = await Promise.all(demo.transcripts.map((transcript) => typeIn(transcript)));
    demo.transcripts.forEach(({ typed, status }, n) => {
      expect(shown[n]?.answers.map(steady)).toEqual(typed.map(({ said }) => steady(said)));
      if (status) expect(shown[n]?.errors).toContain(`Unexpected server response: ${status}`);
    });
    expect(demo.transcripts.map(({ said }) => said?.split(' ')[0])).toEqual([
      undefined,
      undefined,
      'SECRET_REQUIRED',
      'ORIGIN_NOT_ALLOWED',
    ]);
    expect(shown.map(({ blocks }) => blocks > 0)).toEqual([true, false, false, false]);
  });

  test('the dashboard opens with the printed password, and with no other', async () => {
    const password = /user admin, password (\S+),/.exec(demo.output)![1]!;
    const open = (word: string) =>
      fetch(`${demo.url}/admin/api/keys`, { headers: { Authorization: `Basic ${btoa(`admin:${word}`)}` } });
    expect((await open(`${password}.`)).status).toBe(401);
    expect(await (await open(password)).text()).toContain('demo browser');
  });

  test('the made-up day of traffic is said to be made up, and how to remove it', async () => {
    expect(demo.output).toMatch(/Usage +holds a day of made-up calls(?:.*\n){1,3}.*rm \S+\.usage\/\*-demo\.jsonl/);
    const password = /user admin, password (\S+),/.exec(demo.output)![1]!;
    const headers = { Authorization: `Basic ${btoa(`admin:${password}`)}` };
    const usage = await fetch(`${demo.url}/admin/api/usage?since=24h`, { headers });
    expect(await usage.json()).toMatchObject({ usage: { isDemo: true } });
  });

  test("the backend's own routes work as before", async () => {
    const { url } = demo;
    const headers = { 'Content-Type': 'application/json' };
    const add = (text: unknown) =>
      fetch(`${url}/api/notes`, { method: 'POST', headers, body: JSON.stringify({ text }) });
    expect((await add('first')).status).toBe(201);
    expect((await add('')).status).toBe(400);
    expect(await (await fetch(`${url}/api/notes`)).json()).toMatchObject([{ text: 'first' }]);
    expect((await fetch(url)).headers.get('content-security-policy')).toContain("script-src 'self'");
    expect(await (await fetch(`${url}/api/dapp`)).text()).not.toContain('rgs_');
  });

  inBrowser('the page reads the chain through the guard and shows why calls are refused', async () => {
    const { page, problems } = await openPage();
    await page.goto(demo.url);

    await page.getByText('1,000 DEMO').waitFor();
    expect(await page.getByRole('link', { name: 'Dashboard' }).getAttribute('href')).toBe('/admin/');
    expect(await page.locator('#chain-id').textContent()).toBe('31337');
    expect(Number(await page.locator('#block-number').textContent())).toBeGreaterThan(0);

    expect(await ask(page, 'Read the listed contract')).toMatchObject({ verdict: 'Allowed', Result: 'DEMO' });
    expect(await ask(page, 'Read another contract')).toMatchObject({
      verdict: 'Refused',
      'HTTP status': '403',
      Code: '-32002',
      Message: 'rejected due to project ID settings',
      Reason: 'CONTRACT_ADDRESS_NOT_ALLOWED',
      'Request id': expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
    });
    expect(await ask(page, 'Call another method')).toMatchObject({ Reason: 'METHOD_NOT_ALLOWED' });
    expect(await ask(page, 'Use a wrong key')).toMatchObject({ 'HTTP status': '401', Reason: 'KEY_UNKNOWN' });

    await page.getByLabel('Note').fill('<b>hello</b>');
    await page.getByRole('button', { name: 'Add' }).click();
    await page.getByText('<b>hello</b>').waitFor();
    expect(problems()).toEqual([]);

    const keys = readFileSync(demo.keysFile, 'utf8');
    writeFileSync(demo.keysFile, keys.replaceAll('"enabled": true', '"enabled": false'));
    await expectSoon(async () => {
      await page.getByRole('button', { name: 'Read again' }).click();
      await page.getByText('Refused: KEY_DISABLED').waitFor({ timeout: 500 });
    });
    writeFileSync(demo.keysFile, keys);
    await until(async () => (await ask(page, 'Read the listed contract'))['verdict'] === 'Allowed');

    await page.route('**/v3/**', (route) => route.abort());
    await page.getByRole('button', { name: 'Read again' }).click();
    await page.getByText('The guard cannot be reached').waitFor();
  });

  test('Ctrl-C ends all of it while WebSockets are open, even one that does not answer the close', async () => {
    const [transcript] = demo.transcripts;
    const url = /ws:\S+/.exec(transcript?.wscat ?? '')?.[0] ?? '';
    const open = async () => {
      const socket = new WebSocket(url, { auth: `:${demo.secret}` });
      endAfterTest(() => socket.terminate());
      await once(socket, 'open');
      return socket;
    };
    const closed = once(await open(), 'close');
    (await open()).pause();

    expect(isRunning(demo.anvilPid)).toBe(true);
    const { code, output, errors } = await demo.end();
    expect({ code, errors }).toEqual({ code: 0, errors: WHERE });
    expect(output).toContain('Ended: server and guard, anvil');
    expect(await closed).toEqual([1001, expect.anything()]);
    expect(isRunning(demo.anvilPid)).toBe(false);
    await expect(fetch(demo.url)).rejects.toThrow();
  });
});

test('a second demo on the same keys and port takes another port and leaves the first its secret', async () => {
  const KEYS_FILE = keysFile();
  const first = await startDemo({ KEYS_FILE });
  expect(first.output).toContain('made now');
  const written = JSON.parse(readFileSync(KEYS_FILE, 'utf8')) as { keys: { apiKey: string }[] };
  const withSecret = first.lines.find(({ curl, status }) => curl.includes('--user') && status === 'HTTP 200')!;
  const { port } = new URL(first.url);
  const second = await startDemo({ KEYS_FILE, PORT: port });
  expect(second.output).toContain(`Port ${port} is taken`);
  expect((await fetch(second.url)).status).toBe(200);
  expect(await paste(withSecret)).toBe(`HTTP 200  ${withSecret.said}`);

  expect(second.output).toContain('made at an earlier start');
  for (const { apiKey } of written.keys) expect(second.output).toContain(apiKey);
  expect(second.secret).not.toBe(first.secret);
  const text = readFileSync(KEYS_FILE, 'utf8');
  for (const { secret } of [first, second]) expect(text).not.toContain(secret);

  expect((await first.end()).code).toBe(0);
  const onSecond = withSecret.curl.replace(first.url, second.url);
  await expectSoon(async () => {
    expect(await paste({ ...withSecret, curl: onSecond })).toContain('SECRET_INVALID');
  });
  const own = onSecond.replace(first.secret, second.secret);
  expect(await paste({ ...withSecret, curl: own })).toBe(`HTTP 200  ${withSecret.said}`);

  process.kill(second.anvilPid, 'SIGKILL');
  const { code, errors } = await second.ended;
  expect(code).toBe(1);
  expect(errors).toContain('anvil ended with SIGKILL');
});

test('uses a node that is already running', async () => {
  const anvil = await startAnvil('--chain-id', '4242');
  endAfterTest(() => anvil.stop());
  const demo = await startDemo({ UPSTREAM_URL: anvil.url });
  expect(demo.output).toContain(`${new URL(anvil.url).host}, chain 4242`);
  expect(demo.output).toContain('not on this chain');
  expect((await demo.end()).output).toContain('Ended: server and guard.');
  expect((await fetch(anvil.url, { method: 'POST', body: '{}' })).ok).toBe(true);

  const noSockets = await startDemo({ UPSTREAM_URL: anvil.url, UPSTREAM_WS_URL: 'ws://127.0.0.1:1' });
  expect(noSockets.output).toContain('HTTP 502  UPSTREAM_UNAVAILABLE  -32603 upstream unavailable');
});

test.each([
  ['PORT', 'eight', 'PORT is "eight"'],
  ['UPSTREAM_URL', 'http://127.0.0.1:1', 'upstream unavailable'],
  ['KEYS_FILE', __filename, 'is not JSON'],
])('ends with a clear message for %s=%s', async (name, value, word) => {
  const { code, errors } = await (await startDemo({ [name]: value })).ended;
  expect(code).toBe(1);
  expect(errors).toContain(word);
  expect(errors).not.toContain('    at ');
});

inBrowser('the page shows new blocks by itself, says why it does not, and comes back', async () => {
  const KEYS_FILE = keysFile();
  const demo = await startDemo({ KEYS_FILE });
  const { page, problems } = await openPage();
  await page.goto(demo.url);
  const state = page.locator('#live');

  await page.getByText('Live', { exact: true }).waitFor();
  await page.locator('#blocks li').nth(1).waitFor();
  const [newest = 0, older = 0] = (await page.locator('#blocks strong').allTextContents()).map(Number);
  expect(newest).toBe(older + 1);
  await page.locator('#block-number', { hasText: String(newest + 1) }).waitFor();
  await page.locator('#blocks strong', { hasText: String(newest + 1) }).waitFor();
  expect(problems()).toEqual([]);

  const keys = readFileSync(KEYS_FILE, 'utf8');
  writeFileSync(KEYS_FILE, keys.replaceAll('"enabled": true', '"enabled": false'));
  await state.getByText('Refused: KEY_DISABLED').waitFor();
  await page.getByText('Next try in 2 s.').waitFor();
  writeFileSync(KEYS_FILE, keys);
  await state.getByText('Live').waitFor();

  writeFileSync(KEYS_FILE, keys.replaceAll('"eth_subscribe"', '"eth_syncing"'));
  await expectSoon(async () => {
    await page.reload();
    await state.getByText('Refused: METHOD_NOT_ALLOWED').waitFor({ timeout: 500 });
  });
  writeFileSync(KEYS_FILE, keys);
  await state.getByText('Live').waitFor();

  const { code } = await demo.end('SIGTERM');
  expect(code).toBe(0);
  await state.getByText('Reconnecting').waitFor();
  await startDemo({ KEYS_FILE, PORT: new URL(demo.url).port });
  await state.getByText('Live').waitFor();
  await page
    .locator('#blocks strong', { hasText: /^[1-5]$/ })
    .first()
    .waitFor();
});

let browser: Browser | undefined;
afterAll(() => browser?.close());

/** Chromium as a stranger has it, with a list of what its console complains of besides refusals. */
async function openPage(): Promise<{ page: Page; problems: () => readonly string[] }> {
  browser ??= await launchChromium();
  const context = await browser.newContext();
  endAfterTest(() => context.close());
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('pageerror', ({ message }) => problems.push(message));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) problems.push(message.text());
  });
  return { page, problems: () => problems.filter((text) => !/status of 40[13]/.test(text)) };
}

/** Presses a button of the page and reads the answer that it shows. */
async function ask(page: Page, button: string): Promise<Record<string, string>> {
  await page.getByRole('button', { name: button }).click();
  const call = await page.getByRole('button', { name: button }).locator('.call').textContent();
  await page.locator('#answer dd', { hasText: call ?? '' }).waitFor();
  const names = await page.locator('#answer dt').allTextContents();
  const facts = await page.locator('#answer dd').allTextContents();
  const verdict = (await page.locator('#answer .verdict').textContent()) ?? '';
  return { verdict, ...Object.fromEntries(names.map((name, n) => [name, facts[n] ?? ''])) };
}

async function expectSoon(check: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await check();
      return;
    } catch (error) {
      if (tries === 10) throw error;
    }
  }
}
