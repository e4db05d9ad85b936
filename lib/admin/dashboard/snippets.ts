import { USUAL_METHOD, inShell } from '../../keys/sample-request';
import type { SnippetFacts } from './snippet-facts';

interface Snippet {
  readonly id: string;
  readonly label: string;
  readonly code: string;
}

const ON_A_SERVER = 'on a server: a secret must not reach a browser';

/** Ready lines to use a key with, as in the README's "Clients". */
export function snippets(facts: SnippetFacts): [Snippet, ...Snippet[]] {
  const lines = (code: readonly string[]) => code.join('\n');
  return [
    { id: 'curl', label: 'curl', code: lines(curl(facts)) },
    { id: 'ethers', label: 'ethers', code: lines(ethers(facts)) },
    { id: 'viem', label: 'viem', code: lines(viem(facts)) },
    { id: 'web3', label: 'web3.js', code: lines(web3(facts)) },
    { id: 'wscat', label: 'wscat', code: lines(wscat(facts)) },
  ];
}

function curl({ url, secret, origin, userAgent, method }: SnippetFacts): readonly string[] {
  const options = [
    ...(secret ? [`--user ${inShell(`:${secret}`)}`] : []),
    ...(origin ? [`-H ${inShell(`Origin: ${origin}`)}`] : []),
    ...(userAgent ? [`-A ${inShell(userAgent)}`] : []),
  ];
  return continued([...options, inShell(url), `-d ${inShell(bodyOf(method))}`], 'curl ');
}

function wscat({ socketUrl, secret, origin, userAgent, method }: SnippetFacts): readonly string[] {
  const options = [
    ...(secret ? [`--auth ${inShell(`:${secret}`)}`] : []),
    ...(origin ? [`--origin ${inShell(origin)}`] : []),
    ...(userAgent ? [`-H ${inShell(`User-Agent: ${userAgent}`)}`] : []),
  ];
  return [...continued([inShell(socketUrl), ...options], 'npx wscat -c '), `> ${bodyOf(method)}`];
}

function ethers(facts: SnippetFacts): readonly string[] {
  const { url, secret, origin, userAgent, method } = facts;
  const isInsecure = url.startsWith('http:');
  const call = method === USUAL_METHOD ? 'getBlockNumber()' : `send(${inCode(method)}, [])`;
  const provider = (target: string) =>
    `const provider = new JsonRpcProvider(${target}, 1, { staticNetwork: true }); // 1: the chain’s id`;
  const end = `console.log(await provider.${call});`;
  if (!needsHeaders(facts)) {
    return ['// ethers 6', "import { JsonRpcProvider } from 'ethers';", '', provider(inCode(url)), end];
  }
  return [
    heading('ethers 6', secret),
    "import { FetchRequest, JsonRpcProvider } from 'ethers';",
    '',
    `const request = new FetchRequest(${inCode(url)});`,
    ...(secret ? [`request.setCredentials('', ${inCode(secret)});`] : []),
    ...(secret && isInsecure ? ['request.allowInsecureAuthentication = true; // http:// is for local tests'] : []),
    ...(origin ? [`request.setHeader('Origin', ${inCode(origin)});`] : []),
    ...(userAgent ? [`request.setHeader('User-Agent', ${inCode(userAgent)});`] : []),
    provider('request'),
    end,
  ];
}

function viem(facts: SnippetFacts): readonly string[] {
  const { url, secret, method } = facts;
  const call = method === USUAL_METHOD ? 'getBlockNumber()' : `request({ method: ${inCode(method)}, params: [] })`;
  const options = needsHeaders(facts) ? ', { fetchOptions: { headers } }' : '';
  return [
    heading('viem 2', secret),
    "import { createPublicClient, http } from 'viem';",
    '',
    ...headersOf(facts),
    `const client = createPublicClient({ transport: http(${inCode(url)}${options}) });`,
    `console.log(await client.${call});`,
  ];
}

function web3(facts: SnippetFacts): readonly string[] {
  const { url, secret, method } = facts;
  const call =
    method === USUAL_METHOD ? 'eth.getBlockNumber()' : `requestManager.send({ method: ${inCode(method)}, params: [] })`;
  const end = `console.log(await web3.${call});`;
  if (!needsHeaders(facts)) {
    return ['// web3.js 4', "import { Web3 } from 'web3';", '', `const web3 = new Web3(${inCode(url)});`, end];
  }
  return [
    heading('web3.js 4', secret),
    "import { HttpProvider, Web3 } from 'web3';",
    '',
    ...headersOf(facts),
    `const web3 = new Web3(new HttpProvider(${inCode(url)}, { providerOptions: { headers } }));`,
    end,
  ];
}

function needsHeaders({ secret, origin, userAgent }: SnippetFacts): boolean {
  return [secret, origin, userAgent].some((value) => value !== undefined);
}

function headersOf(facts: SnippetFacts): readonly string[] {
  if (!needsHeaders(facts)) return [];
  const { secret, origin, userAgent } = facts;
  return [
    'const headers = {',
    ...(secret ? [`  Authorization: \`Basic \${btoa(${inCode(`:${secret}`)})}\`,`] : []),
    ...(origin ? [`  Origin: ${inCode(origin)},`] : []),
    ...(userAgent ? [`  'User-Agent': ${inCode(userAgent)},`] : []),
    '};',
  ];
}

function heading(client: string, secret: string | undefined): string {
  return `// ${client}${secret ? `, ${ON_A_SERVER}` : ''}`;
}

function bodyOf(method: string): string {
  return JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: [] });
}

/** A command of a shell over several lines. */
function continued(parts: readonly string[], command: string): readonly string[] {
  return parts.map((part, index) => `${index === 0 ? command : '  '}${part}${index < parts.length - 1 ? ' \\' : ''}`);
}

function inCode(text: string): string {
  return `'${text.replace(/['\\]/g, '\\$&')}'`;
}
