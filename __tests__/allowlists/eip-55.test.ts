import { randomBytes } from 'node:crypto';
import { getAddress } from 'ethers';
import { fitsChecksum } from '../../lib/allowlists/eip-55';

test('an address that ethers has checksummed fits, and does not with the case of one letter changed', () => {
  for (let n = 0; n < 200; n++) {
    const address = getAddress(`0x${randomBytes(20).toString('hex')}`);
    expect([address, fitsChecksum(address)]).toEqual([address, true]);
    const at = address.search(/(?<=^0x.*)[a-f]/i);
    const letter = address.charAt(at);
    const other = letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase();
    const wrong = address.slice(0, at) + other + address.slice(at + 1);
    const isOneCase = [wrong.slice(2).toLowerCase(), wrong.slice(2).toUpperCase()].includes(wrong.slice(2));
    expect([wrong, fitsChecksum(wrong)]).toEqual([wrong, isOneCase]);
  }
});

test.each(['0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b', '0xFE05A3E72235C9F92FD9F2282F41A8154D6D342B'])(
  'an address in a single case has no checksum, and fits: %s',
  (address) => {
    expect(fitsChecksum(address)).toBe(true);
  },
);
