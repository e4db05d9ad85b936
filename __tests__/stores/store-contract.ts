export { storeContract } from '../../lib/stores/store-contract';
