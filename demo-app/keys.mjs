import { KeyManager } from 'rpc-guard';

const WEEK_MS = 7 * 24 * 3600 * 1000;

/**
 * The demo's three keys, made in `store` where they are missing and otherwise left as they are. Two things are new at
 * every start: a secret of the server key, since only hashes are stored, and a contract that their lists do not hold yet.
 * `revoke()` takes the secret back; that of a demo which could not expires in a week. Other demos keep theirs.
 */
export async function prepareKeys(store, contract) {
  const keys = new KeyManager(store);
  const created = [];

  async function prepare(name, settings) {
    const { keys: found } = await keys.list({ search: name });
    const there = found.find((key) => key.name === name);
    if (there) return { key: await withContract(there) };
    created.push(name);
    return keys.create({ name, ...settings });
  }

  async function withContract(key) {
    const { contractAddresses } = key.allowlists;
    if (contractAddresses.length === 0) return key; // everything passes an empty list
    return keys.addToAllowlist(key.apiKey, 'contractAddresses', [contract]);
  }

  const { key: browser } = await prepare('demo browser', {
    allowlists: {
      origins: ['http://localhost:*', 'http://127.0.0.1:*'],
      userAgents: ['Mozilla', 'curl'],
      contractAddresses: [contract],
      methods: ['eth_blockNumber', 'eth_call', 'eth_chainId', 'eth_getBalance', 'eth_subscribe', 'eth_unsubscribe'],
    },
  });
  const { key: disabled } = await prepare('demo disabled', { enabled: false });
  const newSecret = { label: 'demo', expiresAt: new Date(Date.now() + WEEK_MS).toISOString() };
  const { key: server, ...made } = await prepare('demo server', {
    requireSecret: true,
    secret: newSecret,
    overrideAllowlists: true,
    allowlists: { contractAddresses: [contract] },
  });
  const { secret, secretId } = made.secret ? made : await keys.addSecret(server.apiKey, newSecret);
  const revoke = () => keys.revokeSecret(server.apiKey, secretId).catch(() => undefined); // gone, or it expires
  return { browser, server, disabled, secret, created, revoke };
}
