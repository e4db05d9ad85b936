import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { parseCurlLine } from '../../lib/cli/parse-curl';
import { temporary } from '../support/cli';
import { hasCurl, shell } from '../support/curl';
import { serve } from '../support/serve';

const URL = 'https://backend.example/v3/0123456789abcdef';
const BODY = '{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}';

function parse(line: string, variables = {}) {
  return parseCurlLine(line, { variables, readFile: (path) => readFileSync(path) });
}

/** Lines of which `URL` is where it goes. */
const LINES = [
  `curl URL -d '${BODY}'`,
  `curl -sSXPOST URL -H 'Content-Type: application/json' -H "Origin:https://a.example" --data-raw '${BODY}'`,
  `curl 'URL?a=b#c' \\\n  -H 'user-agent: Mozilla/5.0 (X)' \\\n  -A other \\\n  --compressed --data-binary $'{"id":"\\u0041"}'`,
  `curl -u :rgs_secret URL --data '${BODY}'`,
  `curl --user name:with:colons --url URL -d'${BODY}' -o /dev/null`,
  `curl -H 'Authorization: Basic Og==' -u :other URL -d 1`,
  `curl --oauth2-bearer token URL -d 1`,
  `curl -sd a -d b --data-raw @c URL`,
  `curl --json '{"a":' --json '1}' URL`,
  `curl -H 'User-Agent:' -H 'X-Empty;' -H 'Origin: a' -H 'Origin: b' URL -d 1`,
  `curl -A '' URL -d 1`,
  `curl -d @FILE URL`,
  `curl --data-binary @FILE URL`,
  `curl URL`,
  `curl -X PUT URL -d 1`,
  `curl -I URL`,
  `curl URL -d 1 > /dev/null 2>&1`,
];

(hasCurl ? test : test.skip).each(LINES)('takes a line for what curl makes of it: %s', async (written) => {
  let sent: object = {};
  const { port } = await serve((req, res) => {
    void buffer(req).then((body) => {
      const { method, url = '', rawHeaders } = req;
      const headers = rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [[name, rawHeaders[at + 1]!]] : []));
      sent = { method, path: url.replace(/\?.*/, ''), headers, body: body.toString() };
      res.end();
    });
  });
  const file = join(temporary(), 'body.json');
  writeFileSync(file, '{\r\n"a": 1\n}');
  const line = written.replaceAll('URL', `http://127.0.0.1:${port}/v3/0123456789abcdef`).replaceAll('FILE', file);
  const { code, stderr } = await shell(`bash -c ${quoted(line.replace('curl', 'curl -s --max-time 10'))}`);
  expect([code, stderr]).toEqual([0, '']);

  const { method, path, headers, body, user } = parse(line);
  const basic = user && Buffer.from(`${user.name}:${user.password ?? ''}`).toString('base64');
  const all = [...headers, ...(basic === undefined ? [] : [['Authorization', `Basic ${basic}`]])];
  expect({ method, path, headers: sorted(all), body: body?.toString() ?? '' }).toEqual({
    ...sent,
    headers: sorted((sent as { headers: string[][] }).headers),
  });
});

/** Without what depends on the version of curl, and what is the wire's. */
function sorted(headers: readonly (readonly string[])[]): string[] {
  return headers
    .map(([name = '', value = '']) => `${name.toLowerCase()}: ${value.replace(/^curl\/.*/, 'curl')}`)
    .filter((header) => !/^(?:content-length|connection|accept-encoding): /.test(header))
    .sort();
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

test('a prompt in front and a path to curl do not matter', () => {
  expect(parse(`$ /usr/bin/curl ${URL} -d 1`).path).toBe('/v3/0123456789abcdef');
});

test('the user of the URL is taken, and that of --user before it', () => {
  expect(parse('curl https://a:b%20c@host/v3/k -d 1').user).toEqual({ name: 'a', password: 'b c' });
  expect(parse('curl -u d:e https://a:b@host/v3/k -d 1').user).toEqual({ name: 'd', password: 'e' });
  expect(parse('curl -u d https://host/v3/k -d 1').user).toEqual({ name: 'd', password: undefined });
});

test('a given variable is put in; others are reported', () => {
  const line = `curl -u ":$RPC_GUARD_SECRET" -H "X: $OTHER" ${URL} -d 1`;
  const { user, notes } = parse(line, { RPC_GUARD_SECRET: 'rgs_x' });
  expect(user?.password).toBe('rgs_x');
  expect(notes).toEqual(['not expanded: $OTHER']);
});

test('what is not followed is reported', () => {
  expect(parse(`curl --foo -sk -b a=b -m 3 --max-time 4 ${URL} ${URL} -d 1 | jq .`).notes).toEqual([
    "ignored: curl's --foo",
    "ignored: curl's -b",
    "ignored: curl's -m",
    "ignored: curl's --max-time",
    'ignored: further URLs',
    'ignored: what follows the curl command',
  ]);
});

test.each([
  ['wget https://a', /not a curl line/],
  ['', /not a curl line/],
  ['curl -d 1', /has no URL/],
  [`curl ${URL} -F a=b`, /-F is not followed/],
  [`curl ${URL} --data-urlencode a`, /--data-urlencode is not followed/],
  [`curl ${URL} -sT file`, /-T is not followed/],
  [`curl ${URL} -d`, /-d needs an argument/],
  [`curl ${URL} -d '{`, /is not closed/],
  [`curl ${URL} -d "$(cat secret)"`, /is not run here/],
])('refuses %j', (line, message) => {
  expect(() => parse(line)).toThrow(message);
});
