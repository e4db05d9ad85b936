/**
 * A process with a guard for WebSocket in front of an upstream of its own, which answers each call with its method. Told
 * of its options by its argument, JSON, it sends its port, and what the upstream has received when it is asked.
 */
require('./typescript.cjs');
const { createServer } = require('node:http');
const { WebSocketServer } = require('ws');
const { MemoryStore, rpcGuard } = require('../../lib/index.ts');

const { keys, ...options } = JSON.parse(process.argv[2]);
let received = 0;
process.on('disconnect', () => process.exit());
process.on('message', () => process.send({ received }));

const upstream = createServer().listen(0, '127.0.0.1', () => {
  new WebSocketServer({ server: upstream }).on('connection', (socket) => {
    socket.on('message', (message) => {
      received++;
      const { id, method } = JSON.parse(message);
      socket.send(JSON.stringify({ jsonrpc: '2.0', id, result: method }));
    });
  });
  const url = `http://127.0.0.1:${upstream.address().port}`;
  const logger = { info() {}, warn() {}, error() {} };
  const guard = rpcGuard({ upstream: url, store: new MemoryStore(keys), logger, ...options });
  const server = createServer().on('upgrade', guard.upgrade);
  server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
});
