import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endAfterTest } from './support/cleanup';
import { KEY, call } from './support/guarded-app';
import { openSocket } from './support/guarded-sockets';
import { until } from './support/until';
import { webSocketUpstream } from './support/web-socket-upstream';

const ROOT = join(__dirname, '..');
const CLIENTS = 32;
const SOCKETS = 50;

/** The README's server, in a process of its own with a key of ours; only its port is another. */
async function readmeServer(upstreamUrl: string) {
  const folder = mkdtempSync(join(tmpdir(), 'rpc-guard-shutdown-'));
  endAfterTest(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const [, code = ''] = /^```js\n(import express.*?process\.once\('SIGTERM'.*?)^```$/ms.exec(
    readFileSync(join(ROOT, 'README.md'), 'utf8'),
  )!;
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(ROOT, join(folder, 'node_modules', 'rpc-guard'));
  symlinkSync(join(ROOT, 'node_modules', 'express'), join(folder, 'node_modules', 'express'));
  writeFileSync(join(folder, 'rpc-guard.json'), JSON.stringify({ keys: [{ apiKey: KEY }] }));
  const port = "\nserver.on('listening', () => process.send(server.address().port, () => process.disconnect()));\n";
  writeFileSync(join(folder, 'server.mjs'), code.replace('listen(3000)', "listen(0, '127.0.0.1')") + port);
  const child = fork(join(folder, 'server.mjs'), [], {
    cwd: folder,
    env: { ...process.env, UPSTREAM_URL: upstreamUrl },
    execArgv: [],
    silent: true,
  });
  const exited = once(child, 'exit') as Promise<[number | null, string | null]>;
  endAfterTest(() => child.kill('SIGKILL'));
  const [listening] = (await once(child, 'message')) as [number];
  return { child, exited, port: listening };
}

interface Outcome {
  readonly status: number;
  readonly retryAfter: string | undefined;
}

function ask(port: number, agent: Agent, method: string): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    request({ port, agent, method: 'POST', path: `/v3/${KEY}` }, (res) => {
      const { statusCode: status = 0, headers } = res.resume();
      res.on('end', () => resolve({ status, retryAfter: headers['retry-after'] }));
    })
      .on('error', reject)
      .end(JSON.stringify(call(method)));
  });
}

/** Takes as long as a slow node would, for once by the clock: what is told is that the guard waits as long. */
const UPSTREAM_MS = 2000;
/** Of the README's `guard.close()`. */
const GRACE_MS = 10_000;

test("the README's server loses no request on SIGTERM under load, and ends by itself within its grace", async () => {
  const upstream = await webSocketUpstream({ hold: (answer) => setTimeout(answer, UPSTREAM_MS) });
  const { child, exited, port } = await readmeServer(upstream.url);
  const agent = new Agent({ keepAlive: true });
  endAfterTest(() => {
    agent.destroy();
  });
  const url = `ws://127.0.0.1:${port}/ws/v3/${KEY}`;
  const sockets = await Promise.all(Array.from({ length: SOCKETS }, () => openSocket(url)));
  const answers = Array.from({ length: CLIENTS }, () => ask(port, agent, 'eth_chainId'));
  await until(() => upstream.seen.length === CLIENTS);

  const toldAt = performance.now();
  child.kill('SIGTERM');
  const codes = await Promise.all(sockets.map(async ({ closed }) => (await closed).code));
  expect(codes).toEqual(Array(SOCKETS).fill(1001));
  const late = await ask(port, agent, 'eth_blockNumber');
  expect(late).toEqual({ status: 503, retryAfter: '01' });
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array(CLIENTS).fill(200));
  expect(await exited).toEqual([0, null]);
  expect(performance.now() - toldAt).toBeLessThan(GRACE_MS);
  expect(upstream.seen).toHaveLength(CLIENTS);
});
