import { generateApiKey, generateSecret, hashSecret } from 'rpc-guard';

/**
 * The demo's three keys, made in `store` where they are missing and otherwise left as they are. Two things are new at
 * every start: the server key's secret, since only hashes are stored, and a contract that their lists do not hold yet.
 */
export async function prepareKeys(store, contract) {
  const stored = await store.list();
  const secret = generateSecret();
  const created = [];

  async function prepare(name, settings, renew = (key) => key) {
    const found = stored.find((key) => key.name === name);
    if (!found) created.push(name);
    const key = renew(found ?? { apiKey: generateApiKey(), name, ...settings });
    return key === found ? found : store.set(key);
  }

  const browser = await prepare(
    'demo browser',
    {
      allowlists: {
        origins: ['http://localhost:*', 'http://127.0.0.1:*'],
        userAgents: ['Mozilla/', 'curl/'],
        contractAddresses: [contract],
        methods: ['eth_blockNumber', 'eth_call', 'eth_chainId', 'eth_getBalance', 'eth_subscribe', 'eth_unsubscribe'],
      },
    },
    (key) => withContract(key, contract),
  );
  const server = await prepare(
    'demo server',
    { requireSecret: true, overrideAllowlists: true, allowlists: { contractAddresses: [contract] } },
    (key) => withContract(withSecret(key, secret), contract),
  );
  const disabled = await prepare('demo disabled', { enabled: false });
  return { browser, server, disabled, secret, created };
}

function withContract(key, contract) {
  const { contractAddresses } = key.allowlists;
  if (contractAddresses.length === 0 || contractAddresses.includes(contract)) return key;
  return { ...key, allowlists: { ...key.allowlists, contractAddresses: [contract, ...contractAddresses] } };
}

function withSecret(key, secret) {
  const others = (key.secrets ?? []).filter(({ id }) => id !== 'demo');
  const fresh = { id: 'demo', label: 'new at every start', hint: secret.slice(0, 8), hash: hashSecret(secret) };
  return { ...key, secrets: [...others, fresh] };
}
