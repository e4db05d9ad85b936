// npm run demo: a node, keys, the backend of server.mjs; prints what to paste; Ctrl-C ends all of it.
//   UPSTREAM_URL     a node to use in place of a fresh anvil       PORT       default 3000
//   UPSTREAM_WS_URL  its WebSocket, if that is at another address  NO_COLOR   plain text
//   KEYS_FILE        default demo-app/rpc-guard.json
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FileStore } from 'rpc-guard';
import { hashPassword } from 'rpc-guard/admin';
import { startAnvil } from './anvil.mjs';
import { WRAPPED_ETHER, deployContract } from './contract.mjs';
import { answerTo, call, curlLines, examples, send } from './examples.mjs';
import { prepareKeys } from './keys.mjs';
import { buildServer } from './server.mjs';
import { putTraffic } from './traffic.mjs';
import { answersOn, socketExamples, wscatLines } from './socket-examples.mjs';

const HOST = '127.0.0.1';
const CLOSE_MS = 1000;
const { UPSTREAM_URL, UPSTREAM_WS_URL, PORT = '3000' } = process.env;
const keysFile = process.env.KEYS_FILE ?? fileURLToPath(new URL('./rpc-guard.json', import.meta.url));

const started = [];
let ending = false;

async function end(exitCode) {
  if (ending) return;
  ending = true;
  for (const { name, stop } of started.reverse()) {
    await stop().catch((error) => {
      exitCode = 1;
      console.error(`${name} did not end: ${error.message}`);
    });
  }
  if (exitCode === 0) console.log(`\nEnded: ${started.map(({ name }) => name).join(', ')}.`);
  process.exit(exitCode);
}

function fail(why) {
  if (ending) return;
  console.error(`\nThe demo has to end: ${why}`);
  return end(1);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void end(0));
start().catch((error) => fail(error.message));

async function start() {
  const node = UPSTREAM_URL ? undefined : await startNode();
  const contract = node ? await deployContract(node.url) : WRAPPED_ETHER;

  const store = new FileStore(keysFile);
  const keys = await prepareKeys(store, contract);
  if (keys.created.length > 0) await putTraffic(store, keys, contract);
  const upstream = { url: node?.url ?? UPSTREAM_URL, ...(UPSTREAM_WS_URL && { wsUrl: UPSTREAM_WS_URL }) };
  const password = randomBytes(12).toString('base64url');
  const users = { admin: await hashPassword(password) };
  const { app, server, guard, admin } = buildServer({ upstream, store, users });
  const { url, instead } = await listen(server);
  started.push({ name: 'server and guard', stop: () => close(server, guard, admin, keys) });

  const chainId = Number(await ask(url, keys, 'eth_chainId'));
  const isThere = (await ask(url, keys, 'eth_getCode', [contract, 'latest'])) !== '0x';
  app.locals.dapp = { apiKey: keys.browser.apiKey, contract, chainId };
  const shown = await withAnswers(examples({ url, keys, contract }));
  const sockets = await Promise.all(
    socketExamples({ url, keys }).map(async (example) => ({ ...example, ...(await answersOn(example)) })),
  );
  const hasTraffic = (await readdir(`${keysFile}.usage`).catch(() => [])).some((name) => name.endsWith('-demo.jsonl'));
  if (!ending) print({ hasTraffic, node, chainId, contract, isThere, keys, url, password, instead, shown, sockets });
}

async function startNode() {
  // A block every two seconds, and one at once for each transaction.
  const node = await startAnvil(['--block-time', '2', '--mixed-mining'], fail);
  started.push({ name: `anvil (pid ${node.pid})`, stop: () => node.stop() });
  return node;
}

/** On PORT, or on a free port when that is taken. */
async function listen(server) {
  const wanted = Number(PORT);
  if (!/^\d+$/.test(PORT) || wanted > 65_535) throw new Error(`PORT is "${PORT}"; it takes a number up to 65535`);
  const isTaken = await listenOn(server, wanted);
  if (isTaken) await listenOn(server, 0);
  const instead = isTaken && `Port ${wanted} is taken by another program, so this is a free one; PORT=... chooses.`;
  return { url: `http://${HOST}:${server.address().port}`, instead };
}

async function listenOn(server, port) {
  server.listen(port, HOST);
  try {
    await once(server, 'listening');
    return false;
  } catch (error) {
    if (error.code !== 'EADDRINUSE') throw error;
    return true;
  }
}

/** The secret goes. Nothing new is taken, then what is open is closed. A socket whose other end does not answer that is not waited for. */
async function close(server, guard, admin, keys) {
  await keys.revoke();
  const closed = once(server, 'close');
  server.close();
  admin.close();
  await guard.close();
  server.closeAllConnections();
  await Promise.race([closed, sleep(CLOSE_MS)]);
}

/** Through the guard, which knows how to reach the upstream. */
async function ask(url, { server, secret }, method, params) {
  const { body } = await send({ url: `${url}/v3/${server.apiKey}`, secret, body: call(method, params) });
  if (body.error) throw new Error(`${method} was answered with "${body.error.message}"`);
  return body.result;
}

async function withAnswers(groups) {
  const shown = [];
  for (const { title, examples } of groups) {
    const answered = [];
    for (const example of examples) answered.push({ ...example, answer: await answerTo(example) });
    shown.push({ title, examples: answered });
  }
  return shown;
}

function print({ hasTraffic, node, chainId, contract, isThere, keys, url, password, instead, shown, sockets }) {
  const isColored = process.stdout.isTTY && !process.env.NO_COLOR;
  const style = (code) => (text) => (isColored ? `\x1b[${code}m${text}\x1b[0m` : text);
  const [bold, dim, green, red] = ['1', '2', '32', '31'].map(style);
  const width = Math.min(Math.max(process.stdout.columns ?? 100, 80), 120);
  const row = (name, text) => console.log(`  ${name.padEnd(11)}${text}`);

  const file = keysFile.startsWith(process.cwd()) ? relative(process.cwd(), keysFile) : keysFile;
  const whose = node ? 'deployed now' : 'wrapped Ether';
  const contractWord = isThere ? whose : `${whose}: not on this chain, so the page cannot read it`;
  const madeNow = keys.created.length > 0 ? 'made now' : 'made at an earlier start';
  console.log(`\n${bold('rpc-guard demo')}\n`);
  row('Node', `${node ? `anvil (pid ${node.pid}) at ${node.url}` : new URL(UPSTREAM_URL).host}, chain ${chainId}`);
  row('Contract', `${contract}, ${contractWord}`);
  row('Keys', `${file}, ${madeNow}`);
  for (const key of [keys.browser, keys.server, keys.disabled]) row('', `${key.apiKey}  ${key.name}`);
  row('Secret', keys.secret);
  row('', dim('of the server key, new at every start; the file holds only its hash'));

  for (const { title, examples } of shown) {
    console.log(`\n${bold(title)}`);
    for (const { title, answer, ...example } of examples) {
      console.log(`\n  ${dim(`# ${title}`)}`);
      for (const line of curlLines(example, width - 2)) console.log(`  ${line}`);
      console.log(`  ${(answer.startsWith('HTTP 200') ? green : red)(answer)}`);
    }
  }

  console.log(`\n${bold('WebSocket')}`);
  for (const { title, calls, answers, block, refused, ...example } of sockets) {
    console.log(`\n  ${dim(`# ${title}`)}`);
    for (const line of wscatLines(example, width - 2)) console.log(`  ${line}`);
    if (refused) console.log(`  ${red(refused)}`);
    answers?.forEach((answer, n) => {
      console.log(`  ${calls[n]}`);
      console.log(`  < ${(answer.startsWith('result') ? green : red)(answer)}`);
    });
    if (block) console.log(`  < ${green(block)}${dim(', and so on with each new block')}`);
  }

  console.log(`\n${bold('Not shown')}: something has to be slow, broken, limited or too many for them`);
  console.log('  BODY_TIMEOUT, TOO_MANY_SOCKETS, SETTINGS_UNAVAILABLE, UPSTREAM_UNAVAILABLE, UPSTREAM_TIMEOUT,');
  console.log('  RATE_LIMITED, DAILY_LIMIT_REACHED, INTERNAL_ERROR, CONFIGURATION_ERROR\n');
  if (instead) row('Note', instead);
  row('Page', bold(`${url}/`));
  row('Dashboard', bold(`${url}/admin/`));
  row('', `user admin, password ${password}, new at every start`);
  if (hasTraffic) {
    row('Usage', 'holds a day of made-up calls, marked there; their user agent is demo-traffic');
    row('', 'to remove them, end the demo and');
    row('', `rm ${file}.usage/*-demo.jsonl`);
  }
  row('Try', `edit ${file}: a change is in force at once, no restart`);
  row('End', 'Ctrl-C');
}
