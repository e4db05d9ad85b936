export { contractAddresses } from './contract-addresses';
export { userAgents } from './user-agents';
export { origins } from './origins';
export { methods } from './methods';
