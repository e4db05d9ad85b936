// One guard in several processes that share a port: node cluster.mjs <workers> <upstream port>
import cluster from 'node:cluster';
import { SERVERS } from './servers.mjs';

const [workers, upstreamPort] = process.argv.slice(2);

if (cluster.isPrimary) {
  process.on('disconnect', () => process.exit());
  const forked = Array.from({ length: Number(workers) }, () => cluster.fork());
  const answers = () => Promise.all(forked.map((it) => new Promise((resolve) => it.once('message', resolve))));
  const [port] = await answers();
  process.on('message', async () => {
    const answered = answers();
    for (const it of forked) it.send('usage');
    const cpu = (await answered).reduce((sum, each) => sum + each, 0);
    process.send({ cpu });
  });
  process.send(port);
} else {
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    process.send(user + system);
  });
  const server = await SERVERS['rpcGuard 3 MemoryStore'].start({ upstreamPort });
  if (!server.listening) await new Promise((resolve) => server.on('listening', resolve));
  process.send(server.address().port);
}
