const CALL = `'{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}'`;

/**
 * Ready lines to use a key with, as in the README's "Clients".
 * @param {{ httpUrl: string, wsUrl?: string, apiKey: string, secret?: string }} facts
 * @returns {{ id: string, label: string, code: string }[]}
 */
export function snippets({ httpUrl, wsUrl, apiKey, secret }) {
  const url = httpUrl.replace('YOUR-API-KEY', apiKey);
  const socketUrl = wsUrl?.replace('YOUR-API-KEY', apiKey);
  return [
    { id: 'curl', label: 'curl', code: curl(url, secret) },
    { id: 'ethers', label: 'ethers', code: ethers(url, secret) },
    { id: 'viem', label: 'viem', code: viem(url, secret) },
    { id: 'web3', label: 'web3.js', code: web3(url, secret) },
    ...(socketUrl ? [{ id: 'wscat', label: 'wscat', code: wscat(socketUrl, secret) }] : []),
  ];
}

function curl(url, secret) {
  return `curl ${secret ? `--user :${secret} \\\n  ` : ''}${url} \\\n  -d ${CALL}`;
}

function ethers(url, secret) {
  if (!secret) {
    return `// ethers 6
import { JsonRpcProvider } from 'ethers';

const provider = new JsonRpcProvider('${url}', 1, { staticNetwork: true }); // 1: the chain’s id
console.log(await provider.getBlockNumber());`;
  }
  const insecure = url.startsWith('http:')
    ? '\nrequest.allowInsecureAuthentication = true; // http:// is for local tests'
    : '';
  return `// ethers 6, on a server: a secret must not reach a browser
import { FetchRequest, JsonRpcProvider } from 'ethers';

const request = new FetchRequest('${url}');
request.setCredentials('', '${secret}');${insecure}
const provider = new JsonRpcProvider(request, 1, { staticNetwork: true }); // 1: the chain’s id
console.log(await provider.getBlockNumber());`;
}

function viem(url, secret) {
  if (!secret) {
    return `// viem 2
import { createPublicClient, http } from 'viem';

const client = createPublicClient({ transport: http('${url}') });
console.log(await client.getBlockNumber());`;
  }
  return `// viem 2, on a server: a secret must not reach a browser
import { createPublicClient, http } from 'viem';

const headers = { Authorization: \`Basic \${btoa(':${secret}')}\` };
const client = createPublicClient({
  transport: http('${url}', { fetchOptions: { headers } }),
});
console.log(await client.getBlockNumber());`;
}

function web3(url, secret) {
  if (!secret) {
    return `// web3.js 4
import { Web3 } from 'web3';

const web3 = new Web3('${url}');
console.log(await web3.eth.getBlockNumber());`;
  }
  return `// web3.js 4, on a server: a secret must not reach a browser
import { HttpProvider, Web3 } from 'web3';

const headers = { Authorization: \`Basic \${btoa(':${secret}')}\` };
const web3 = new Web3(new HttpProvider('${url}', { providerOptions: { headers } }));
console.log(await web3.eth.getBlockNumber());`;
}

function wscat(url, secret) {
  const auth = secret ? ` \\\n  --auth ":${secret}"` : '';
  return `npx wscat -c ${url}${auth}\n> {"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}`;
}
