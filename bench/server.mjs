// One server in one process: node server.mjs <name> <upstream port> [<socket of Redis>]
import { SERVERS } from './servers.mjs';

const [name, upstreamPort, redisSocket] = process.argv.slice(2);

process.on('disconnect', () => process.exit());
process.on('message', (message) => {
  if (message === 'collect') global.gc();
  const { user, system } = process.cpuUsage();
  const handles = process.getActiveResourcesInfo();
  process.send({
    cpu: user + system,
    rss: process.memoryUsage.rss(),
    heap: process.memoryUsage().heapUsed,
    sockets: handles.filter((type) => /socket/i.test(type)).length,
    timers: handles.filter((type) => type === 'Timeout').length,
  });
});

const server = await SERVERS[name].start({ upstreamPort, redisSocket });
if (!server.listening) await new Promise((resolve) => server.on('listening', resolve));
process.send(server.address().port);
