// The least that can stand between a caller and an upstream.
import { request } from 'node:http';
import { WebSocket, WebSocketServer } from 'ws';

export function relay(port, agent) {
  return (req, res) => {
    const outgoing = request({
      host: '127.0.0.1',
      port,
      agent,
      method: req.method,
      path: req.url,
      headers: req.headers,
    });
    outgoing.on('error', () => res.destroy());
    outgoing.on('response', (answer) => {
      res.writeHead(answer.statusCode, answer.headers);
      answer.pipe(res);
    });
    req.pipe(outgoing);
  };
}

export function webSocketRelay(server, url) {
  const callers = new WebSocketServer({ server, perMessageDeflate: false });
  callers.on('connection', (caller) => {
    const upstream = new WebSocket(url, { perMessageDeflate: false });
    const waiting = [];
    upstream.on('open', () => waiting.splice(0).forEach((message) => upstream.send(message, { binary: false })));
    caller.on('message', (data, binary) => {
      if (upstream.readyState === WebSocket.OPEN) upstream.send(data, { binary });
      else waiting.push(data);
    });
    upstream.on('message', (data, binary) => caller.send(data, { binary }));
    for (const [one, other] of [
      [caller, upstream],
      [upstream, caller],
    ]) {
      one.on('error', () => undefined).on('close', () => other.terminate());
    }
  });
  return server;
}
