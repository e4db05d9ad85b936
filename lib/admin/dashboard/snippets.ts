interface SnippetFacts {
  /** With `YOUR-API-KEY` where the key stands. */
  readonly httpUrl: string;
  readonly wsUrl: string;
  readonly apiKey: string;
  readonly secret: string | undefined;
}

interface Snippet {
  readonly id: string;
  readonly label: string;
  readonly code: string;
}

const CALL = '{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}';
const ON_A_SERVER = 'on a server: a secret must not reach a browser';

/** Ready lines to use a key with, as in the README's "Clients". */
export function snippets({ httpUrl, wsUrl, apiKey, secret }: SnippetFacts): [Snippet, ...Snippet[]] {
  const url = httpUrl.replace('YOUR-API-KEY', apiKey);
  const socketUrl = wsUrl.replace('YOUR-API-KEY', apiKey);
  const lines = (code: readonly string[]) => code.join('\n');
  return [
    { id: 'curl', label: 'curl', code: curl(url, secret) },
    { id: 'ethers', label: 'ethers', code: lines(ethers(url, secret)) },
    { id: 'viem', label: 'viem', code: lines(viem(url, secret)) },
    { id: 'web3', label: 'web3.js', code: lines(web3(url, secret)) },
    { id: 'wscat', label: 'wscat', code: wscat(socketUrl, secret) },
  ];
}

function curl(url: string, secret: string | undefined): string {
  return `curl ${secret ? `--user :${secret} \\\n  ` : ''}${url} \\\n  -d '${CALL}'`;
}

function ethers(url: string, secret: string | undefined): readonly string[] {
  if (!secret) {
    return [
      '// ethers 6',
      "import { JsonRpcProvider } from 'ethers';",
      '',
      `const provider = new JsonRpcProvider('${url}', 1, { staticNetwork: true }); // 1: the chain’s id`,
      'console.log(await provider.getBlockNumber());',
    ];
  }
  const isInsecure = url.startsWith('http:');
  return [
    `// ethers 6, ${ON_A_SERVER}`,
    "import { FetchRequest, JsonRpcProvider } from 'ethers';",
    '',
    `const request = new FetchRequest('${url}');`,
    `request.setCredentials('', '${secret}');`,
    ...(isInsecure ? ['request.allowInsecureAuthentication = true; // http:// is for local tests'] : []),
    'const provider = new JsonRpcProvider(request, 1, { staticNetwork: true }); // 1: the chain’s id',
    'console.log(await provider.getBlockNumber());',
  ];
}

function viem(url: string, secret: string | undefined): readonly string[] {
  if (!secret) {
    return [
      '// viem 2',
      "import { createPublicClient, http } from 'viem';",
      '',
      `const client = createPublicClient({ transport: http('${url}') });`,
      'console.log(await client.getBlockNumber());',
    ];
  }
  return [
    `// viem 2, ${ON_A_SERVER}`,
    "import { createPublicClient, http } from 'viem';",
    '',
    `const headers = { Authorization: \`Basic \${btoa(':${secret}')}\` };`,
    'const client = createPublicClient({',
    `  transport: http('${url}', { fetchOptions: { headers } }),`,
    '});',
    'console.log(await client.getBlockNumber());',
  ];
}

function web3(url: string, secret: string | undefined): readonly string[] {
  if (!secret) {
    return [
      '// web3.js 4',
      "import { Web3 } from 'web3';",
      '',
      `const web3 = new Web3('${url}');`,
      'console.log(await web3.eth.getBlockNumber());',
    ];
  }
  return [
    `// web3.js 4, ${ON_A_SERVER}`,
    "import { HttpProvider, Web3 } from 'web3';",
    '',
    `const headers = { Authorization: \`Basic \${btoa(':${secret}')}\` };`,
    `const web3 = new Web3(new HttpProvider('${url}', { providerOptions: { headers } }));`,
    'console.log(await web3.eth.getBlockNumber());',
  ];
}

function wscat(url: string, secret: string | undefined): string {
  const auth = secret ? ` \\\n  --auth ":${secret}"` : '';
  return `npx wscat -c ${url}${auth}\n> ${CALL}`;
}
