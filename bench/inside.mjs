// What the guard costs inside the process, without sockets: run in a process of its own, it sends what it measured.
import { createRequire } from 'node:module';
import { CONTRACT, LISTED_KEY, OPEN_KEY, ORIGIN, SECRET, SETTINGS, USER_AGENT, listsOf } from './keys.mjs';
import { lib } from './lib.mjs';
import { medianOf } from './statistics.mjs';

const require = createRequire(import.meta.url);
const {
  admit,
  checkCall,
  judgeBody,
  serialiseAllowed,
  addressTable,
  queriedAddresses,
  compileKeySettings,
  parseKeySettings,
  parseCalls,
  serialiseCall,
  SettingsCache,
} = await lib(
  'policy/authorize',
  'policy/evaluate-body',
  'allowlists/address-table',
  'settings/compile',
  'settings/key-settings',
  'json-rpc/call',
  'stores/settings-cache',
);
const { MemoryStore } = require('../dist/index.js');

const isFull = process.argv.includes('--full');
const BATCHES = isFull ? 25 : 5;
const BATCH_MS = isFull ? 40 : 10;
const KEYS = isFull ? 1_000_000 : 100_000;

const results = {};

/** Microseconds of CPU time for one `work()`: the median of batches, after some to warm up. */
async function measure(name, work) {
  let count = 1;
  for (;;) {
    const took = await cpuOf(work, count);
    if (took > BATCH_MS * 1000) break;
    count = Math.ceil(count * Math.min(10, Math.max(1.2, (BATCH_MS * 1200) / Math.max(took, 1))));
  }
  const batches = [];
  for (let n = -Math.max(BATCHES, 15); n < BATCHES; n++) {
    const took = await cpuOf(work, count);
    if (n >= 0) batches.push(took / count);
  }
  results[name] = medianOf(batches);
}

async function cpuOf(work, count) {
  const before = process.cpuUsage();
  for (let n = 0; n < count; n++) {
    const result = work();
    if (result instanceof Promise) await result;
  }
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

const rules = {
  addressTable: addressTable({}),
  isBlocked: (method) => method.startsWith('admin_'),
  blockedMethods: [],
};
const callTo = (to, data, id = 1) => ({
  jsonrpc: '2.0',
  id,
  method: 'eth_call',
  params: [{ to, data }, 'latest'],
});
const [call] = parseCalls(JSON.stringify(callTo(CONTRACT, '0x70a08231')), 1000).calls;

const facts = {
  apiKey: LISTED_KEY,
  authorization: `Basic ${Buffer.from(`:${SECRET}`).toString('base64')}`,
  origin: ORIGIN,
  userAgent: USER_AGENT,
  headers: {},
  duplicateHeader: undefined,
  requestId: 'x',
};

async function decisions() {
  const withoutSecret = { ...SETTINGS[1], apiKey: 'listed-key-without-secret', requireSecret: false, secrets: [] };
  const store = new SettingsCache(new MemoryStore([...SETTINGS, withoutSecret]), {
    logger: { info() {}, warn() {}, error() {} },
    staleIfErrorMs: 60_000,
  });
  const decide = (given) => async () => {
    const admission = await admit(given, store);
    if ('refused' in admission || checkCall(admission, call, rules) !== undefined) throw new Error('refused');
  };
  await measure('admit + checkCall, secret and four lists of 30', decide(facts));
  const open = { ...facts, authorization: undefined, apiKey: withoutSecret.apiKey };
  await measure('admit + checkCall, no secret, four lists of 30', decide(open));
  await measure('admit + checkCall, no lists', decide({ ...open, apiKey: OPEN_KEY }));

  const admission = await admit(facts, store);
  const batch = Buffer.from(JSON.stringify(Array.from({ length: 100 }, (_, n) => callTo(CONTRACT, '0x70a08231', n))));
  const judge = () => serialiseAllowed(judgeBody(batch, 1000, admission, rules));
  await measure('batch of 100', judge);
  results['batch of 100, a call'] = results['batch of 100'] / 100;
  delete results['batch of 100'];
  await store.close();
}

async function bodies() {
  const hex = (bytes) => JSON.stringify(callTo(CONTRACT, `0x${'1f'.repeat(bytes / 2)}`));
  const bodyOf = (text) => Buffer.from(text);
  const parse = (body) => () => {
    const read = parseCalls(body, 1000);
    return read.ok ? read.calls.map((it) => ('invalid' in it ? it : serialiseCall(it))) : read;
  };
  await measure('strict parse + serialise, 200 B', parse(bodyOf(hex(66))));
  await measure('strict parse + serialise, 2.6 KB', parse(bodyOf(hex(2466))));
  await measure('strict parse + serialise, 100 KB of hex', parse(bodyOf(hex(100_000))));
  await measure('strict parse + serialise, 1 MB of hex', parse(bodyOf(hex(1_000_000))));
  for (const [name, params] of Object.entries(hostileParams(1_000_000))) {
    const body = bodyOf(`{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[${params}]}`);
    await measure(`hostile 1 MB, ${name}`, parse(body));
  }
}

/** What a hostile megabyte may consist of. */
function hostileParams(bytes) {
  const fill = (part) => part.repeat(Math.floor(bytes / part.length));
  return {
    escapes: `"${fill('\\u0061')}"`,
    'surrogate pairs': `"${fill('\\ud83e\\udd84')}"`,
    'short escapes': `"${fill('\\n')}"`,
    brackets: fill('[').slice(0, bytes / 2) + fill(']').slice(0, bytes / 2),
    'empty objects': `${fill('{},')}0`,
    'empty strings': `${fill('"",')}0`,
    'short strings': `${fill('"a",')}0`,
    numbers: `${fill('1,')}0`,
    'exact numbers': `${fill('1.0,')}0`,
    'long numbers': `${fill('1234567890123456789012345678901234567890,')}0`,
    'one number': `1${fill('0').slice(0, 300)}.${fill('1')}`,
    members: `{${Array.from({ length: bytes / 12 }, (_, n) => `"${n.toString(36).padStart(6, 'a')}":0`).join(',')}}`,
    'one name': `{${fill('"a":0,')}"a":0}`,
    spaces: `${fill(' ')}0`,
    'other letters': `"${fill('ſ')}"`.slice(0, bytes / 2),
    'deep objects': `${fill('{"a":')}0${fill('}').slice(0, Math.floor(bytes / 5))}`,
  };
}

async function entries() {
  for (const size of [1, 30]) {
    const { allowlists } = compileKeySettings(parseKeySettings({ apiKey: OPEN_KEY, allowlists: listsOf(size) }));
    const of = size === 1 ? '1 entry' : `${size} entries`;
    await measure(`match a user agent, ${of}`, () => allowlists.userAgents.matches(facts.userAgent));
    await measure(`match an origin, ${of}`, () => allowlists.origins.matches(facts.origin));
    await measure(`match a contract address, ${of}`, () =>
      queriedAddresses(call, rules.addressTable).every((it) => allowlists.contractAddresses.matches(it)),
    );
    await measure(`match a method, ${of}`, () => allowlists.methods.matches('eth_call'));
  }
}

/** Memory for a key, and what a lookup costs among few and many. */
async function keys() {
  const nameOf = (n) => `key-${n.toString(16).padStart(28, '0')}`;
  for (const count of [1, 1000, KEYS]) {
    global.gc();
    const before = process.memoryUsage().heapUsed;
    const store = new MemoryStore();
    // One by one, so that no array of all settings is measured with them.
    for (let n = 0; n < count; n++) await store.set({ apiKey: nameOf(n) });
    global.gc();
    const bytes = process.memoryUsage().heapUsed - before;
    const asked = Array.from({ length: Math.min(count, 1000) }, (_, n) =>
      nameOf(Math.floor((n * count) / 1000) % count),
    );
    let turn = 0;
    const next = () => asked[turn++ % asked.length];
    const among = `among ${count.toLocaleString('en')}`;
    await measure(`MemoryStore.get, ${among}`, () => store.get(next()));
    const cache = new SettingsCache(store, { logger: { info() {}, warn() {}, error() {} }, staleIfErrorMs: 60_000 });
    await measure(`lookup through the cache, ${among}`, () => cache.get(next()));
    await cache.close();
    if (count === KEYS) results[`bytes a key in MemoryStore, ${among}`] = bytes / count;
  }
}

process.on('disconnect', () => process.exit());
await decisions();
await bodies();
await entries();
await keys();
process.send(results, () => process.disconnect());
