/** The contracts as the author of a store runs them, with node:test. */
require('./typescript.cjs');
const { test } = require('node:test');
const { MemoryStore } = require('../../lib/index.ts');
const { auditContract, storeContract, usageContract } = require('../../lib/stores/store-contract.ts');

storeContract(test, () => new MemoryStore());
auditContract(test, () => new MemoryStore());
usageContract(test, () => Promise.resolve({ usage: new MemoryStore().usage }));
