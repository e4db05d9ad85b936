/** The four types in the order of the request's way, in the words of the product. */
export const LISTS = [
  { type: 'contractAddresses', title: 'Contract addresses', one: 'address', many: 'addresses' },
  { type: 'userAgents', title: 'User agents', one: 'user agent', many: 'user agents' },
  { type: 'origins', title: 'Origins', one: 'origin', many: 'origins' },
  { type: 'methods', title: 'API request methods', one: 'method', many: 'methods' },
];

export function count(number, one, many = `${one}s`) {
  return `${number} ${number === 1 ? one : many}`;
}

export function shorten(apiKey) {
  return apiKey.length > 16 ? `${apiKey.slice(0, 8)}…${apiKey.slice(-4)}` : apiKey;
}

/** How a key is called where its name alone would be too little. */
export function nameOf({ name, apiKey }) {
  return name || `Key ${apiKey.slice(0, 8)}…`;
}

export function hasActiveSecret({ secrets }) {
  return secrets.some(({ state }) => state === 'active');
}
