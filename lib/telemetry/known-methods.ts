import type { AddressTable } from '../allowlists/address-table';

/** Of the namespaces that the table knows by their prefix alone. */
const WITHOUT_ROW = ['net_listening', 'net_peerCount', 'net_version', 'web3_clientVersion', 'web3_sha3'];

/** Whether a method has a name of its own in what an operator sees: callers can make up any number of others. */
export function isNamedMethod(method: string, table: AddressTable): boolean {
  return table.has(method) || WITHOUT_ROW.includes(method);
}
