import { once } from 'node:events';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { generateApiKey, generateSecret } from 'rpc-guard';

const UNLISTED = '0xdac17f958d2ee523a2206206994597c13d831ec7';

/** What the demo shows: requests, each as a line to paste and as what that line answers. */
export function examples({ url, keys, contract }) {
  const at = (key) => `${url}/v3/${key.apiKey}`;
  const browser = { url: at(keys.browser), headers: [['Origin', url]] };
  const server = { url: at(keys.server), secret: keys.secret };
  return [
    {
      title: 'Allowed',
      examples: [
        { title: "the browser key, from the page's origin", ...browser, body: call('eth_blockNumber') },
        { title: 'the browser key, about a listed contract', ...browser, body: balanceOf(contract) },
        {
          title: 'a batch: each call is decided on its own',
          ...browser,
          body: `[${call('eth_chainId')},${call('eth_gasPrice', undefined, 2)}]`,
        },
        { title: 'the server key: its secret overrides its lists', ...server, body: balanceOf(UNLISTED) },
      ],
    },
    {
      title: 'Refused: the key',
      examples: [
        { title: 'no key in the URL', url: `${url}/v3`, body: call('eth_chainId') },
        { title: 'a key that nobody has', url: `${url}/v3/${generateApiKey()}`, body: call('eth_chainId') },
        { title: 'a disabled key', url: at(keys.disabled), body: call('eth_chainId') },
      ],
    },
    {
      title: 'Refused: the secret',
      examples: [
        { title: 'the server key without its secret', url: server.url, body: call('eth_chainId') },
        { title: 'the server key with a wrong one', ...server, secret: generateSecret(), body: call('eth_chainId') },
      ],
    },
    {
      title: 'Refused: the allowlists',
      examples: [
        { title: 'no listed Origin', url: browser.url, body: call('eth_chainId') },
        { title: 'another User-Agent', ...browser, userAgent: 'Wget/1.24', body: call('eth_chainId') },
        { title: 'a contract that is not listed', ...browser, body: balanceOf(UNLISTED) },
        { title: 'a method that is not listed', ...browser, body: call('eth_gasPrice') },
        { title: 'a node-administration method: no key, no secret opens it', ...server, body: call('admin_peers') },
      ],
    },
    {
      title: 'Refused: the request',
      examples: [
        { title: 'not JSON', ...browser, body: '{"jsonrpc":"2.0",' },
        { title: 'JSON, but no JSON-RPC call', ...browser, body: '{"method":"eth_chainId"}' },
        { title: 'two Origin headers', ...browser, headers: [...browser.headers, ['Origin', 'null']], body: '{}' },
        { title: 'a GET', url: browser.url },
        {
          title: 'an encoding that is not taken',
          ...browser,
          headers: [...browser.headers, ['Content-Encoding', 'zstd']],
          body: '{}',
        },
        {
          title: 'a batch of 1001 calls',
          ...browser,
          body: `[${'1,'.repeat(1000)}1]`,
          bodyArgument: `-d "[$(printf '1,%.0s' {1..1000})1]"`,
        },
        {
          title: 'more than 2 MiB',
          ...browser,
          body: '0'.repeat(2 * 1024 * 1024 + 1),
          bodyArgument: `--data-binary @<(printf '%02097153d' 0)`,
        },
      ],
    },
  ];
}

/** The example as lines of a shell, `width` columns wide if they can be. */
export function curlLines({ url, secret, userAgent, headers = [], body, bodyArgument }, width) {
  const words = [
    ...(secret ? [`--user :${secret}`] : []),
    url,
    ...(userAgent ? [`-A ${quote(userAgent)}`] : []),
    ...headers.map(([name, value]) => `-H ${quote(`${name}: ${value}`)}`),
    ...(body === undefined ? [] : [bodyArgument ?? `-d ${quote(body)}`]),
  ];
  return shellLines('curl', words, width).flatMap((line) => foldJson(line, width));
}

/** A command and its words, a word to a line where they do not fit in one. */
export function shellLines(command, words, width) {
  const lines = [command];
  for (const word of words) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.at(-1) === command || longer.length + ' \\'.length <= width) lines[lines.length - 1] = longer;
    else lines.push(`  ${word}`);
  }
  return lines.join(' \\\n').split('\n');
}

/** Sends the example as curl would and puts the answer in a line. */
export async function answerTo(example) {
  const { status, body } = await send(example);
  return `HTTP ${status}  ${[body].flat().map(inShort).join(', ')}`;
}

/** An answer, or an error, in a few words. */
export function inShort({ result, error }) {
  if (error === undefined) return `result ${JSON.stringify(result)}`;
  return `${error.data?.reason ?? ''}  ${error.code} ${error.message}`;
}

export async function send({ url, secret, userAgent = 'curl/8', headers = [], body }) {
  const sent = request(url, { method: body === undefined ? 'GET' : 'POST', ...(secret && { auth: `:${secret}` }) });
  sent.setHeader('User-Agent', userAgent);
  for (const [name, value] of headers) sent.appendHeader(name, value);
  sent.on('error', () => undefined); // a refusal may come, and the connection go, while a long body is being sent
  sent.end(body);
  const [response] = await once(sent, 'response');
  const answer = await text(response);
  try {
    return { status: response.statusCode, body: JSON.parse(answer) };
  } catch {
    throw new Error(`an answer is not JSON (HTTP ${response.statusCode}): is the upstream an Ethereum node?`);
  }
}

export function call(method, params, id = 1) {
  return JSON.stringify({ jsonrpc: '2.0', id, method, params });
}

function balanceOf(address) {
  return call('eth_getBalance', [address, 'latest']);
}

/** A shell takes a line break within quotes, and so does JSON. */
function foldJson(line, width) {
  return line.length <= width
    ? [line]
    : line.split(/(?="params")|(?<=\},)(?=\{)/).map((part, n) => (n ? `      ${part}` : part));
}

export function quote(word) {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
