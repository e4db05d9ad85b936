import {
  Contract,
  FetchRequest,
  JsonRpcProvider,
  Network,
  formatUnits,
  getAddress,
} from '/vendor/ethers/ethers.min.js';

const ABI = ['function symbol() view returns (string)', 'function totalSupply() view returns (uint256)'];
const UNLISTED = '0xdAC17F958D2ee523a2206206994597C13D831ec7';
const MAX_BLOCKS = 5;
const POLICY_VIOLATION = 1008;
const FIRST_DELAY_S = 1;
const LONGEST_DELAY_S = 16;
const UNKNOWN_KEY = '00000000000000000000000000000000';

const element = (id) => document.getElementById(id);

start().catch((error) => {
  showReading(false);
  showError('chain-error', `The page could not start: ${error.message}`);
});

async function start() {
  startNotes();
  const dapp = await fetchJson('/api/dapp');
  element('endpoint').textContent = `/v3/${dapp.apiKey}`;
  const network = Network.from(dapp.chainId);
  startChain(dapp, network);
  startLive(dapp);
  startAttempts(dapp, network);
}

/** A provider whose calls go through the guard, one request each. `onResponse` sees every HTTP response. */
function connect(apiKey, network, onResponse = () => {}) {
  const request = new FetchRequest(new URL(`/v3/${apiKey}`, location.href).href);
  // A 401 asks for Basic credentials, and a browser would ask its user for them.
  request.getUrlFunc = FetchRequest.createGetUrlFunc({ credentials: 'omit' });
  request.processFunc = async (_request, response) => {
    onResponse(response);
    return response;
  };
  return new JsonRpcProvider(request, network, { staticNetwork: network, batchMaxCount: 1 });
}

// ---- From the chain

function startChain({ apiKey, contract: address }, network) {
  let refused;
  const provider = connect(apiKey, network, (response) => {
    refused ??= errorIn(response);
  });
  const contract = new Contract(address, ABI, provider);
  element('contract').firstElementChild.textContent = getAddress(address);

  async function read() {
    refused = undefined;
    showReading(true);
    element('chain-error').hidden = true;
    try {
      const [chainId, blockNumber, symbol, supply] = await Promise.all([
        provider.send('eth_chainId', []),
        provider.getBlockNumber(),
        contract.symbol(),
        contract.totalSupply(),
      ]);
      element('chain-id').textContent = BigInt(chainId);
      showBlockNumber(blockNumber);
      element('supply').textContent = `${Math.round(formatUnits(supply)).toLocaleString('en')} ${symbol}`;
    } catch (error) {
      showError('chain-error', whyNot(error, refused));
    } finally {
      showReading(false);
    }
  }

  element('read').disabled = false;
  element('read').addEventListener('click', () => {
    if (element('chain').getAttribute('aria-busy') === 'false') read();
  });
  read();
}

function showReading(isReading) {
  element('chain').setAttribute('aria-busy', String(isReading));
  element('read').textContent = isReading ? 'Reading…' : 'Read again';
}

function showBlockNumber(blockNumber) {
  element('block-number').textContent = blockNumber.toLocaleString('en');
}

function whyNot(error, refused) {
  if (refused) return `Refused: ${reasonOf(refused)}`;
  if (error.code === 'BAD_DATA') return 'There is no such contract on this chain.';
  return 'The guard cannot be reached. Is the demo still running?';
}

// ---- New blocks

/** A plain WebSocket: ethers' WebSocketProvider does not come back after a loss. */
function startLive({ apiKey }) {
  const path = `/ws/v3/${apiKey}`;
  let delay = FIRST_DELAY_S;
  element('socket').textContent = path;

  function connectSocket() {
    const socket = new WebSocket(new URL(path, location.href.replace(/^http/, 'ws')));
    let refused;
    let wasOpen = false;
    socket.onopen = () => {
      wasOpen = true;
      socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_subscribe', params: ['newHeads'] }));
    };
    socket.onmessage = ({ data }) => {
      const { error, params } = JSON.parse(data);
      if (error) {
        refused = reasonOf(error);
        socket.close();
      } else if (params) {
        showBlock(params.result);
      } else {
        delay = FIRST_DELAY_S;
        showLive('allowed', 'Live');
      }
    };
    socket.onclose = async ({ code, reason }) => {
      if (code === POLICY_VIOLATION) refused = reason || 'not told';
      // A page is not told why a handshake was refused. What refuses a key there refuses it over HTTP.
      if (!wasOpen) refused = await refusalOverHttp(apiKey);
      const why = wasOpen ? `The connection was lost (${reason || code}).` : 'No connection was made.';
      const next = `Next try in ${delay} s.`;
      if (refused) showLive('refused', `Refused: ${refused}`, next);
      else showLive('waiting', 'Reconnecting', `${why} ${next}`);
      setTimeout(connectSocket, delay * 1000);
      delay = Math.min(delay * 2, LONGEST_DELAY_S);
    };
  }

  connectSocket();
}

async function refusalOverHttp(apiKey) {
  try {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId' });
    const response = await fetch(`/v3/${apiKey}`, { method: 'POST', credentials: 'omit', body });
    const { error } = await response.json();
    return error && reasonOf(error);
  } catch {
    return undefined;
  }
}

function showLive(className, state, hint = '') {
  element('live').className = `verdict ${className}`;
  element('live').textContent = state;
  element('live-hint').textContent = hint;
  element('live-hint').hidden = hint === '';
}

function showBlock({ number, hash, timestamp }) {
  const item = element('block-template').content.cloneNode(true);
  fillTime(item.querySelector('time'), Number(timestamp) * 1000, { second: '2-digit' });
  item.querySelector('strong').textContent = Number(number).toLocaleString('en');
  item.querySelector('code').textContent = `${hash.slice(0, 8)}…${hash.slice(-6)}`;
  element('blocks').prepend(item);
  element('blocks').children[MAX_BLOCKS]?.remove();
  element('no-blocks').hidden = true;
  showBlockNumber(Number(number));
}

// ---- Ask the guard

function startAttempts({ apiKey, contract }, network) {
  const symbolOf = (address) => (provider) => new Contract(address, ABI, provider).symbol();
  const attempts = [
    {
      label: 'Read the listed contract',
      call: `eth_call symbol() ${short(contract)}`,
      apiKey,
      run: symbolOf(contract),
    },
    { label: 'Read another contract', call: `eth_call symbol() ${short(UNLISTED)}`, apiKey, run: symbolOf(UNLISTED) },
    {
      label: 'Call another method',
      call: 'eth_gasPrice',
      apiKey,
      run: (provider) => provider.send('eth_gasPrice', []),
    },
    {
      label: 'Use a wrong key',
      call: `eth_blockNumber /v3/${UNKNOWN_KEY.slice(0, 6)}…`,
      apiKey: UNKNOWN_KEY,
      run: (provider) => provider.getBlockNumber(),
    },
  ];
  for (const attempt of attempts) {
    const button = element('attempt-template').content.cloneNode(true).firstElementChild;
    button.querySelector('.label').textContent = attempt.label;
    button.querySelector('.call').textContent = attempt.call;
    button.addEventListener('click', () => answer(attempt, button, network));
    element('attempts').append(button);
  }
}

let latest;

async function answer(attempt, button, network) {
  latest = attempt;
  for (const other of element('attempts').children) other.removeAttribute('aria-current');
  button.setAttribute('aria-current', 'true');
  element('answer').replaceChildren(paragraph('empty', 'Waiting for the answer…'));

  let response;
  const provider = connect(attempt.apiKey, network, (seen) => {
    response = seen;
  });
  const [outcome] = await Promise.allSettled([attempt.run(provider)]);
  provider.destroy();
  if (latest === attempt) showAnswer(attempt, response, outcome);
}

function showAnswer(attempt, response, { value, reason: thrown }) {
  if (!response) {
    element('answer').replaceChildren(paragraph('error', whyNot(thrown)));
    return;
  }
  const error = errorIn(response);
  const shown = element('answer-template').content.cloneNode(true);
  const verdict = shown.querySelector('.verdict');
  verdict.textContent = error ? 'Refused' : 'Allowed';
  verdict.classList.add(error ? 'refused' : 'allowed');
  const facts = {
    Call: attempt.call,
    'HTTP status': response.statusCode,
    ...(error
      ? { Code: error.code, Message: error.message, Reason: error.data?.reason ?? 'not told' }
      : { Result: thrown ? whyNot(thrown) : value }),
    'Request id': response.headers['x-request-id'],
  };
  for (const [name, fact] of Object.entries(facts)) {
    const row = document.createElement('div');
    row.append(Object.assign(document.createElement('dt'), { textContent: name }));
    row.append(Object.assign(document.createElement('dd'), { textContent: fact }));
    shown.querySelector('.facts').append(row);
  }
  element('answer').replaceChildren(shown);
}

/** The JSON-RPC error of a response, if it is one. */
function errorIn(response) {
  try {
    return response.bodyJson.error;
  } catch {
    return { code: 'none', message: response.statusMessage };
  }
}

function short(address) {
  const checksummed = getAddress(address);
  return `${checksummed.slice(0, 6)}…${checksummed.slice(-4)}`;
}

// ---- The backend's own route

function startNotes() {
  const form = element('note-form');

  async function show() {
    const notes = await fetchJson('/api/notes');
    element('no-notes').hidden = notes.length > 0;
    element('notes').replaceChildren(
      ...notes.map(({ text, at }) => {
        const item = document.createElement('li');
        const time = document.createElement('time');
        fillTime(time, at);
        item.append(time, text);
        return item;
      }),
    );
  }

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    element('note-error').hidden = true;
    try {
      await fetchJson('/api/notes', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ text: form.elements.text.value }),
      });
      form.reset();
      await show();
    } catch (error) {
      showError('note-error', `The note was not added: ${error.message}`);
    }
  });
  show().catch((error) => showError('note-error', `The notes cannot be read: ${error.message}`));
}

// ---- Common to them

async function fetchJson(path, init) {
  const response = await fetch(path, init);
  const body = await response.json();
  if (!response.ok) throw new Error(body.error);
  return body;
}

/** Why the guard refused, if it tells. */
function reasonOf(error) {
  return error.data?.reason ?? error.message;
}

function fillTime(time, at, precision = {}) {
  const date = new Date(at);
  time.dateTime = date.toISOString();
  time.textContent = date.toLocaleTimeString('en', {
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
    ...precision,
  });
}

function showError(id, text) {
  element(id).textContent = text;
  element(id).hidden = false;
}

function paragraph(className, textContent) {
  return Object.assign(document.createElement('p'), { className, textContent });
}
