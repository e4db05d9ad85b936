import { on, once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { call, inShort, quote, shellLines } from './examples.mjs';

/** A node that is not ours may answer nothing, or mine on demand. */
const WAIT_MS = 3000;

/** What the demo shows of WebSocket: sockets to open, and for each what to type there and what that is answered. */
export function socketExamples({ url, keys }) {
  const at = (key) => `${url.replace('http:', 'ws:')}/ws/v3/${key.apiKey}`;
  const page = { url: at(keys.browser), userAgent: 'Mozilla/5.0', origin: url };
  return [
    {
      title: 'the server key with its secret; then type, a line at a time',
      url: at(keys.server),
      secret: keys.secret,
      calls: [call('eth_blockNumber'), call('admin_peers', undefined, 2), call('eth_subscribe', ['newHeads'], 3)],
      awaitsBlock: true,
    },
    {
      title: 'the browser key: its lists are held against each message, and the socket stays open',
      ...page,
      calls: [call('eth_gasPrice'), call('eth_subscribe', ['logs'], 2), call('eth_chainId', undefined, 3)],
    },
    { title: 'no secret: no socket, but an answer as over HTTP (wscat shows its status)', url: at(keys.server) },
    { title: 'no listed Origin', ...page, origin: 'https://another.example' },
  ];
}

export function wscatLines({ url, secret, userAgent, origin }, width) {
  const words = [
    `-c ${url}`,
    ...(secret ? [`--auth ":${secret}"`] : []),
    ...(userAgent ? [`-H ${quote(`User-Agent: ${userAgent}`)}`] : []),
    ...(origin ? [`-o ${origin}`] : []),
  ];
  return shellLines('npx wscat', words, width);
}

/** Opens the socket as wscat would and types the calls; what comes back, or what refuses the handshake. */
export async function answersOn({ url, secret, userAgent, origin, calls = [], awaitsBlock }) {
  const socket = new WebSocket(url, {
    ...(secret && { auth: `:${secret}` }),
    ...(userAgent && { headers: { 'User-Agent': userAgent } }),
    origin,
  });
  const [, refused] = await Promise.race([once(socket, 'open'), once(socket, 'unexpected-response')]);
  if (refused) return { refused: `HTTP ${refused.statusCode}  ${inShort(JSON.parse(await text(refused)))}` };

  let closed;
  socket.once('close', (code, reason) => {
    closed = `closed with ${code} ${reason}`;
  });
  const messages = on(socket, 'message', { close: ['close'] });
  const read = async () => {
    const { value, done } = await messages.next();
    return done ? closed : messageInShort(JSON.parse(value[0]));
  };
  const next = () => Promise.race([read(), sleep(WAIT_MS)]);
  const answers = [];
  for (const typed of calls) {
    socket.send(typed);
    const answer = await next();
    answers.push(answer ?? 'no answer');
    if (!answer || closed) return { answers };
  }
  const block = awaitsBlock && (await next());
  socket.close();
  return { answers, block };
}

function messageInShort(message) {
  return message.method ? `${message.method}  block ${message.params.result.number}` : inShort(message);
}
