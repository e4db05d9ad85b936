/**
 * A process with the guard behind Express, for what costs memory. Told how by its argument, JSON, it sends its port,
 * and what the process has taken when it is asked.
 */
require('./typescript.cjs');
const express = require('express');
const { MemoryStore } = require('../../lib/index.ts');
const { parseOptions } = require('../../lib/options/options.ts');
const { guardOf } = require('../../lib/rpc-guard.ts');

const { upstream, keys, callerIdleMs } = JSON.parse(process.argv[2]);
const options = parseOptions({ upstream, store: new MemoryStore(keys) });
const guard = guardOf(callerIdleMs === undefined ? options : { ...options, callerIdleMs });
const server = express()
  .use(guard)
  .listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));

process.on('message', () => {
  const peak = process.resourceUsage().maxRSS / 1024;
  server.getConnections((_error, connections) => process.send({ peak, connections }));
});
process.on('disconnect', () => process.exit());
