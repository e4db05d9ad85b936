import { once } from 'node:events';
import { connect } from 'node:net';
import { end, start, usageOf } from './processes.mjs';
import { SOAK } from './scenarios.mjs';

const CLIENTS = 32;

/** Allowed and refused requests, and clients that hang up at any moment: what the server holds before and after. */
export async function soak({ execPath }, seconds) {
  const { ready: upstreamPort, child: upstream } = await start('upstream.mjs');
  const args = ['rpcGuard 3 MemoryStore', String(upstreamPort)];
  const { ready: port, child } = await start('server.mjs', args, { execPath, execArgv: ['--expose-gc'] });
  await attack(port, Math.max(2, seconds / 4));
  const before = await settled(child);
  const requests = await attack(port, seconds);
  const after = await settled(child);
  await Promise.all([end(child), end(upstream)]);
  return { seconds, requests, before, after };
}

async function attack(port, seconds) {
  const until = performance.now() + seconds * 1000;
  let requests = 0;

  async function client(n) {
    for (let turn = n; performance.now() < until; turn++) {
      const socket = connect(port, '127.0.0.1').on('error', () => undefined);
      const closed = once(socket, 'close');
      await Promise.race([once(socket, 'connect'), closed]);
      const answered = () => Promise.race([once(socket, 'data'), closed]);
      for (let request = 0; request < 20 && !socket.destroyed; request++) {
        requests++;
        socket.write(SOAK.requests[(turn + request) % SOAK.requests.length]);
        await answered();
      }
      // Every kind of leaving: before the answer, within the body, with the answer, in an orderly way.
      if (turn % 4 === 0) socket.write(SOAK.requests[0]);
      if (turn % 4 === 1) socket.write(SOAK.unfinished);
      if (turn % 4 === 3) socket.end();
      else socket.resetAndDestroy();
      await closed;
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, (_, n) => client(n)));
  return requests;
}

/** When idle connections are gone: callers' after 5 s, to the upstream after 15 s. */
async function settled(child) {
  await new Promise((resolve) => setTimeout(resolve, 2500));
  for (let n = 0; n < 3; n++) {
    child.send('collect');
    await once(child, 'message');
  }
  return usageOf(child);
}
