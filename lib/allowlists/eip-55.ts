/**
 * Whether the case of an address's letters is its checksum (EIP-55). An address in one case has none, and passes.
 * It finds typing errors; no request is decided by it.
 */
export function fitsChecksum(address: string): boolean {
  const digits = address.slice(2);
  const lower = digits.toLowerCase();
  if (digits === lower || digits === digits.toUpperCase()) return true;
  return digits === checksummed(lower);
}

/** The address with the case that is its checksum, for people to compare. */
export function withChecksum(address: string): string {
  return `0x${checksummed(address.slice(2).toLowerCase())}`;
}

/** Recent results: a hash takes 0.3 ms, and a page of keys may hold thousands of addresses. */
const known = new Map<string, string>();
const MAX_KNOWN = 10_000;

function checksummed(lower: string): string {
  const found = known.get(lower);
  if (found !== undefined) return found;
  const hash = keccak256(lower);
  const digits = Array.from(lower, (digit, at) => {
    const isUpper = (hash[at >> 1]! >> (at % 2 === 0 ? 4 : 0)) % 16 >= 8;
    return isUpper ? digit.toUpperCase() : digit;
  });
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(lower, digits.join(''));
  return digits.join('');
}

const RATE_BYTES = 136;
const MASK = 2n ** 64n - 1n;
const ROUNDS = 24;
const { rotations, targets } = laneMoves();
const ROUND_CONSTANTS = roundConstants();

/** Keccak-256 as Ethereum uses it, of ASCII shorter than one block. Node's SHA-3 pads otherwise. */
function keccak256(text: string): Buffer {
  const block = Buffer.alloc(RATE_BYTES);
  block.write(text, 'latin1');
  block[text.length] = 0x01;
  block[RATE_BYTES - 1]! |= 0x80;
  const lanes = Array.from({ length: 25 }, (_, at) => (at < RATE_BYTES / 8 ? block.readBigUInt64LE(8 * at) : 0n));
  for (const constant of ROUND_CONSTANTS) permute(lanes, constant);
  const hash = Buffer.alloc(32);
  for (let at = 0; at < 4; at++) hash.writeBigUInt64LE(lanes[at]!, 8 * at);
  return hash;
}

/** One round of Keccak-f[1600]: theta, rho and pi, chi, iota. */
function permute(lanes: bigint[], constant: bigint): void {
  const parity = [0, 1, 2, 3, 4].map((x) => [5, 10, 15, 20].reduce((sum, y) => sum ^ lanes[x + y]!, lanes[x]!));
  const moved: bigint[] = [];
  for (let at = 0; at < 25; at++) {
    const mixed = lanes[at]! ^ parity[(at + 4) % 5]! ^ rotate(parity[(at + 1) % 5]!, 1n);
    moved[targets[at]!] = rotate(mixed, rotations[at]!);
  }
  for (let at = 0; at < 25; at++) {
    const row = at - (at % 5);
    lanes[at] = moved[at]! ^ (~moved[row + ((at + 1) % 5)]! & MASK & moved[row + ((at + 2) % 5)]!);
  }
  lanes[0]! ^= constant;
}

function rotate(lane: bigint, by: bigint): bigint {
  return ((lane << by) | (lane >> (64n - by))) & MASK;
}

/** How far rho rotates each lane, and where pi puts it. */
function laneMoves(): { readonly rotations: readonly bigint[]; readonly targets: readonly number[] } {
  const rotations = [0n];
  const targets = [0];
  for (let step = 0, x = 1, y = 0; step < 24; step++) {
    const [nextX, nextY] = [y, (2 * x + 3 * y) % 5];
    rotations[x + 5 * y] = BigInt((((step + 1) * (step + 2)) / 2) % 64);
    targets[x + 5 * y] = nextX + 5 * nextY;
    [x, y] = [nextX, nextY];
  }
  return { rotations, targets };
}

/** From the shift register of the standard, a bit at each place 2^j - 1. */
function roundConstants(): readonly bigint[] {
  let register = 1;
  return Array.from({ length: ROUNDS }, () => {
    let constant = 0n;
    for (let j = 0; j < 7; j++) {
      if (register & 1) constant |= 1n << BigInt(2 ** j - 1);
      register = (register << 1) ^ (register & 0x80 ? 0x171 : 0);
    }
    return constant;
  });
}
