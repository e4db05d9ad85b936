import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import * as fc from 'fast-check';
import { callerOf, canonicalAddress, clientAddress } from '../../lib/request/client-address';
import type { TrustProxy } from '../../lib/request/client-address';
import { endAfterTest } from '../support/cleanup';

function addressOf(trustProxy: TrustProxy, remoteAddress: string | undefined, forwardedFor?: string) {
  return clientAddress(trustProxy)({ remoteAddress, headers: { 'x-forwarded-for': forwardedFor } });
}

describe('the caller’s address', () => {
  test('is that of the connection where no proxy is trusted, whatever X-Forwarded-For says', () => {
    expect(addressOf(false, '192.0.2.1', '198.51.100.7')).toBe('192.0.2.1');
  });

  test.each<[TrustProxy, string, string | undefined]>([
    [true, '198.51.100.7, 203.0.113.9, 10.0.0.2', '198.51.100.7'],
    [0, '198.51.100.7', '10.0.0.1'],
    [1, '198.51.100.7, 203.0.113.9', '203.0.113.9'],
    [2, '198.51.100.7, 203.0.113.9', '198.51.100.7'],
    ['10.0.0.0/8', '198.51.100.7, 203.0.113.9, 10.0.0.2', '203.0.113.9'],
    ['loopback, uniquelocal', '198.51.100.7, 192.168.1.1', '198.51.100.7'],
    [['10.0.0.1', '203.0.113.9'], '198.51.100.7, 203.0.113.9', '198.51.100.7'],
    [(address, hop) => address === '10.0.0.1' && hop === 0, '198.51.100.7, 203.0.113.9', '203.0.113.9'],
    [1, 'unknown', undefined],
    [1, '198.51.100.7:4711', undefined],
    [1, '0x7f.1', undefined],
    [1, '010.0.0.1', undefined],
    [1, '127.1', undefined],
  ])('behind 10.0.0.1, which %p trusts, for %p is %p', (trustProxy, forwardedFor, expected) => {
    expect(addressOf(trustProxy, '10.0.0.1', forwardedFor)).toBe(expected);
  });

  test('is unknown once the connection is gone', () => {
    expect(addressOf(false, undefined)).toBeUndefined();
    expect(addressOf(1, undefined)).toBeUndefined();
  });

  test.each([
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:0201', '192.0.2.1'],
    ['2001:DB8::0001', '2001:db8:0:0:0:0:0:1'],
    ['2001:db8:0:0:0::1', '2001:db8:0:0:0:0:0:1'],
    ['::', '0:0:0:0:0:0:0:0'],
    ['::1', '0:0:0:0:0:0:0:1'],
    ['1::', '1:0:0:0:0:0:0:0'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0:0:0:c000:201'],
    ['fe80::1%eth0', 'fe80:0:0:0:0:0:0:1'],
  ])('%s has one spelling', (address, expected) => {
    expect(canonicalAddress(address)).toBe(expected);
  });

  test('has one spelling however an IPv6 address is written', () => {
    const group = fc.integer({ min: 0, max: 0xffff });
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), fc.nat(7), fc.nat(8), (groups, from, length) => {
        const zeroed = groups.map((it, at) => (at >= from && at < from + length ? 0 : it));
        const full = zeroed.map((it) => it.toString(16).padStart(4, '0').toUpperCase());
        const short = new URL(`http://[${full.join(':')}]`).hostname.slice(1, -1);
        expect(canonicalAddress(short)).toBe(canonicalAddress(full.join(':')));
      }),
    );
  });

  test('counts as one caller for each IPv6 /64, and for each IPv4 address', () => {
    const caller = (address: string) => callerOf(canonicalAddress(address)!);
    expect(caller('2001:db8:1:2::3')).toBe(caller('2001:db8:1:2:ffff::'));
    expect(caller('2001:db8:1:2::3')).not.toBe(caller('2001:db8:1:3::3'));
    expect(caller('192.0.2.1')).not.toBe(caller('192.0.2.2'));
  });

  test.each<TrustProxy>([true, 1, 'loopback', ['127.0.0.0/8', '10.0.0.0/8']])(
    'is what Express makes of it under trust proxy %p',
    async (trustProxy) => {
      const app = express().set('trust proxy', trustProxy);
      const ours = clientAddress(trustProxy);
      app.get('/', (req, res) => {
        const { remoteAddress } = req.socket;
        res.json([req.ip, ours({ remoteAddress, headers: req.headers })]);
      });
      const server = createServer(app).listen(0, '127.0.0.1');
      endAfterTest(() => server.close());
      await new Promise((resolve) => server.once('listening', resolve));
      const { port } = server.address() as AddressInfo;
      for (const forwardedFor of ['', '198.51.100.7', '198.51.100.7, 10.1.1.1', '198.51.100.7, 203.0.113.9']) {
        const [theirs, mine] = await ipsOf(port, forwardedFor);
        expect(mine).toBe(theirs);
      }
    },
  );
});

function ipsOf(port: number, forwardedFor: string): Promise<[string, string]> {
  return new Promise((resolve, reject) => {
    const headers = forwardedFor === '' ? {} : { 'X-Forwarded-For': forwardedFor };
    get({ port, host: '127.0.0.1', headers, agent: false }, (res) => {
      res.setEncoding('utf8').on('data', (text: string) => resolve(JSON.parse(text) as [string, string]));
    }).on('error', reject);
  });
}
