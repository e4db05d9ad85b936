/** The contract as the author of a store runs it, with node:test. */
require('./typescript.cjs');
const { test } = require('node:test');
const { MemoryStore } = require('../../lib/index.ts');
const { storeContract } = require('../../lib/stores/store-contract.ts');

storeContract(test, () => new MemoryStore());
