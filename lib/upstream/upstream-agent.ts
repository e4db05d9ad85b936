import { Agent as HttpAgent } from 'node:http';
import type { AgentOptions, ClientRequest } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Upstream } from './upstream-url';

/** What Node's requests ask of an agent, be it one of Node's own or not. */
interface Asked {
  addRequest(request: ClientRequest, options: object): void;
}

/**
 * An agent of Node's for one upstream. All its connections are alike: Node would copy what http-proxy says of them, and
 * put their name together, anew for each request.
 */
export function createUpstreamAgent({ origin, host, hostname, port }: Upstream, options: AgentOptions): HttpAgent {
  const isTls = origin.startsWith('https:');
  const agent = new (isTls ? HttpsAgent : HttpAgent)(options);
  const asked = agent as HttpAgent & Asked;
  const addRequest = asked.addRequest.bind(agent);
  // The certificate is looked at whatever NODE_TLS_REJECT_UNAUTHORIZED says, as http-proxy would ask for. Without TLS
  // nobody is told the server's name, which Node would look for in the headers of each request.
  const connection = { host: hostname, port, ...(isTls ? { rejectUnauthorized: true } : { servername: '' }) };
  asked.addRequest = (request) => {
    addRequest(request, connection);
  };
  agent.getName = () => host;
  return agent;
}
