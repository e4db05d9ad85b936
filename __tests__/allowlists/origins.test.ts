import fc from 'fast-check';
import { origins } from '../../lib/allowlists/origins';
import { factsOf } from '../support/pieces';

function matches(entry: string | readonly string[], origin: string | undefined): boolean {
  const entries = typeof entry === 'string' ? [entry] : entry;
  for (const it of entries) expect(origins.problem(it)).toBeUndefined();
  const value = origins.reads(factsOf({ origin }));
  return value !== undefined && origins.compile(entries)(value);
}

describe('an entry with a wildcard', () => {
  test.each([
    ['https://*.example.com', 'https://a.example.com'],
    ['https://*.example.com', 'https://a.b.example.com'],
    ['https://*.example.com', 'https://a.b.c.d.example.com'],
    ['https://*.example.com', 'https://A.Example.COM'],
    ['https://*.example.com', 'https://a.example.com:443'],
    ['https://*.example.com', 'https://xn--bcher-kva.example.com'],
    ['https://*.example.com', 'https://_x.example.com'],
    ['https://*.EXAMPLE.com', 'https://a.example.com'],
    ['*.example.com', 'https://a.example.com'],
    ['*.example.com', 'http://a.example.com'],
    ['*.example.com', 'a.example.com'],
    ['*.example.com:8080', 'https://a.example.com:8080'],
    ['https://*.example.com:*', 'https://a.example.com:8443'],
    ['https://*.example.com:*', 'https://a.example.com'],
    ['https://*.localhost', 'https://a.localhost'],
    ['https://*.bücher.example', 'https://a.xn--bcher-kva.example'],
  ])('%s matches %s', (entry, origin) => {
    expect(matches(entry, origin)).toBe(true);
  });

  test.each([
    ['https://*.example.com', 'https://example.com'],
    ['https://*.example.com', 'http://a.example.com'],
    ['https://*.example.com', 'https://evil-example.com'],
    ['https://*.example.com', 'https://evilexample.com'],
    ['https://*.example.com', 'https://a.example.com.evil.io'],
    ['https://*.example.com', 'https://a.example.com:8443'],
    ['https://*.example.com', 'https://a.example.com:80'],
    ['https://*.example.com', 'a.example.com'],
    ['https://*.example.com', 'https://.example.com'],
    ['https://*.example.com', 'https://a..example.com'],
    ['https://*.example.com', 'https://*.example.com'],
    ['https://*.example.com', 'https://evil.io/a.example.com'],
    ['https://*.example.com', 'https://evil.io?.example.com'],
    ['https://*.example.com', 'https://evil.io#.example.com'],
    ['https://*.example.com', 'https://evil.io\\.example.com'],
    ['https://*.example.com', 'https://evil.io%2f.example.com'],
    ['https://*.example.com', 'https://evil.io:443.example.com'],
    ['https://*.example.com', 'https://a@b.example.com'],
    ['https://*.example.com', 'https://a.example.com.'],
    ['https://*.example.com', 'https://a.example-com'],
    ['https://*.example.com', 'https://a.exampleXcom'],
    ['https://*.example.com', 'https://a.example.co'],
    ['https://*.example.com', 'https://a.xexample.com'],
    ['*.example.com:8080', 'https://a.example.com'],
    ['*.example.com:8080', 'https://example.com:8080'],
    ['*.0.0.1', 'http://127.0.0.10'],
  ])('%s does not match %j', (entry, origin) => {
    expect(matches(entry, origin)).toBe(false);
  });
});

describe('an entry without a wildcard', () => {
  test.each([
    ['mydapp.example.com', 'mydapp.example.com'],
    ['mydapp.example.com', 'https://mydapp.example.com'],
    ['mydapp.example.com', 'http://mydapp.example.com'],
    ['mydapp.example.com', 'http://mydapp.example.com:80'],
    ['mydapp.example.com', 'https://MyDapp.Example.com'],
    ['MyDapp.Example.com', 'https://mydapp.example.com'],
    ['mydapp.example.com', 'capacitor://mydapp.example.com'],
    ['https://example.com', 'https://example.com'],
    ['https://example.com', 'https://example.com:443'],
    ['https://example.com:443', 'https://example.com'],
    ['http://example.com:80', 'http://example.com'],
    ['http://example.com', 'http://example.com:80'],
    ['https://example.com:8443', 'https://example.com:8443'],
    ['example.com:8443', 'https://example.com:8443'],
    ['example.com:8443', 'example.com:8443'],
    ['example.com:443', 'https://example.com'],
    ['https://example.com:*', 'https://example.com:8443'],
    ['https://example.com:*', 'https://example.com'],
    ['example.com:*', 'http://example.com:1'],
    ['example.com:*', 'example.com:65535'],
    ['localhost:*', 'http://localhost:3000'],
    ['localhost', 'http://localhost'],
    ['http://127.0.0.1:8545', 'http://127.0.0.1:8545'],
    ['http://[::1]:3000', 'http://[::1]:3000'],
    ['http://[0:0:0:0:0:0:0:1]:3000', 'http://[::1]:3000'],
    ['http://[2001:DB8::1]', 'http://[2001:db8::1]'],
    ['[::1]:*', 'http://[::1]:3000'],
    ['capacitor://localhost', 'capacitor://localhost'],
    ['ionic://localhost', 'ionic://localhost'],
    ['chrome-extension://abcdefghijklmnopabcdefghijklmnop', 'chrome-extension://abcdefghijklmnopabcdefghijklmnop'],
    ['moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc', 'moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc'],
    ['https://bücher.example', 'https://xn--bcher-kva.example'],
    ['https://BÜCHER.example', 'https://xn--bcher-kva.example'],
    ['https://例え.jp', 'https://xn--r8jz45g.jp'],
    ['https://xn--bcher-kva.example', 'https://xn--bcher-kva.example'],
  ])('%s matches %s', (entry, origin) => {
    expect(matches(entry, origin)).toBe(true);
  });

  test.each([
    ['https://example.com', 'http://example.com'],
    ['https://example.com', 'example.com'],
    ['https://example.com', 'wss://example.com'],
    ['https://example.com', 'httpss://example.com'],
    ['https://example.com', 'https://www.example.com'],
    ['https://example.com', 'https://example.com:8443'],
    ['https://example.com', 'https://example.com:80'],
    ['https://example.com:8443', 'https://example.com'],
    ['https://example.com:8443', 'https://example.com:84430'],
    ['https://example.com:8443', 'https://example.com:844'],
    ['http://example.com:443', 'https://example.com'],
    ['example.com', 'https://example.com:8443'],
    ['example.com', 'example.com:8443'],
    ['example.com', 'www.example.com'],
    ['example.com', 'https://example.com.evil.io'],
    ['example.com', 'https://evil.io/example.com'],
    ['example.com', 'https://notexample.com'],
    ['example.com', 'https://examplexcom'],
    ['example.com', 'https://xample.com'],
    ['localhost', 'http://localhost:3000'],
    ['localhost:*', 'http://localhost.evil.io:3000'],
    ['localhost:*', 'http://evil-localhost:3000'],
    ['http://[::1]:3000', 'http://[::2]:3000'],
    ['127.0.0.1', 'http://127.0.0.10'],
    ['https://bücher.example', 'https://bucher.example'],
    ['capacitor://localhost', 'http://localhost'],
  ])('%s does not match %s', (entry, origin) => {
    expect(matches(entry, origin)).toBe(false);
  });
});

describe('an entry of a scheme alone', () => {
  test.each([
    ['https://', 'https://example.com'],
    ['https://', 'https://example.com:8443'],
    ['https://', 'https://[::1]'],
    ['HTTPS://', 'https://example.com'],
    ['chrome-extension://', 'chrome-extension://abcdefghijklmnopabcdefghijklmnop'],
    ['capacitor://', 'capacitor://localhost'],
    ['file://', 'file://'],
  ])('%s matches %s', (entry, origin) => {
    expect(matches(entry, origin)).toBe(true);
  });

  test.each([
    ['https://', 'http://example.com'],
    ['http://', 'https://example.com'],
    ['https://', 'example.com'],
    ['https://', 'https'],
    ['https://', 'https://'],
    ['https://', 'https:///'],
    ['https://', 'https://example.com/'],
    ['https://', 'xhttps://example.com'],
    ['https://', 'null'],
    ['capacitor://', 'http://capacitor'],
  ])('%s does not match %s', (entry, origin) => {
    expect(matches(entry, origin)).toBe(false);
  });
});

describe('the entry null', () => {
  test('matches the origin null', () => {
    expect(matches('null', 'null')).toBe(true);
    expect(matches(['https://example.com', 'null'], 'null')).toBe(true);
  });

  test.each([
    'http://null',
    'https://null',
    'NULL',
    'Null',
    'null:80',
    'https://null:8443',
    '',
    'nul',
    'null ',
    'a.null',
  ])('does not match %j', (origin) => {
    expect(matches('null', origin)).toBe(false);
  });

  test.each(['https://', 'localhost', '*.example.com', 'http://null'])('is not written %s', (entry) => {
    expect(matches(entry, 'null')).toBe(false);
  });
});

describe('a header that is not an origin matches nothing', () => {
  const entries = [
    'example.com:*',
    'https://example.com:*',
    'https://',
    'http://',
    '*.example.com:*',
    '*.com:*',
    'https://key.example',
    'https://bücher.example',
    'capacitor://',
  ];

  test.each([
    '',
    ' ',
    'https://',
    'https:',
    'https:/',
    'https:///',
    'https:///example.com',
    'https:/example.com',
    'https:example.com',
    '://example.com',
    '//example.com',
    '/example.com',
    'https://example.com/',
    'https://example.com//',
    'https://example.com/path',
    'https://example.com?',
    'https://example.com?x',
    'https://example.com#',
    'https://example.com#x',
    'https://example.com.',
    'https://example.com..',
    'https://.example.com',
    'https://example..com',
    'https://example.com\\',
    'https:\\\\example.com',
    'https://evil.io\\example.com',
    'https://user@example.com',
    'https://user:pass@example.com',
    'https://@example.com',
    'https://:@example.com',
    'https://example.com@evil.io',
    'https://example.com:443@evil.io',
    'https://example%2ecom',
    'https://%65xample.com',
    'https://example.com%00',
    'https://example.com%20',
    'https://ex\u00e4mple.com',
    'https://b\u00fccher.example',
    'https://\u212aey.example',
    'https://ｅxample.com',
    'https://example\u3002com',
    'https://example.com\u0130',
    'https://exam\u00adple.com',
    'https://example.com\u200b',
    ' https://example.com',
    'https://example.com ',
    'https://example.com\t',
    'https://example.com\n',
    'https://example.com\r\n',
    'https://example.com\0',
    'https://exa mple.com',
    'https:// example.com',
    'https://example.com,https://evil.io',
    'https://example.com, https://evil.io',
    'https://evil.io, https://example.com',
    'https://evil.io https://example.com',
    'https://example.com;https://evil.io',
    'https://example.com:',
    'https://example.com:x',
    'https://example.com:-1',
    'https://example.com:0443',
    'https://example.com:+443',
    'https://example.com:443:443',
    'https://example.com:65536',
    'https://example.com:100000',
    'https://example.com:4 43',
    'https://example.com:*',
    'https://*',
    'https://*.example.com',
    'https://https://example.com',
    '1https://example.com',
    '-https://example.com',
    'ht!tps://example.com',
    'https://[example.com]',
    'https://[::1',
    'https://::1',
    'https://[::1]example.com',
    'https://[::1%25eth0]',
    'https://"example.com"',
    "https://'example.com'",
    '<https://example.com>',
    'data:text/html,example.com',
    'blob:https://example.com/x',
    'about:blank',
    'undefined',
  ])('%j', (origin) => {
    expect(matches(entries, origin)).toBe(false);
  });

  test('nor does a request without the header', () => {
    expect(matches([...entries, 'null', 'undefined'], undefined)).toBe(false);
  });

  test('however long it is', () => {
    const long = 500_000;
    const origin = [
      `https://${'a'.repeat(long)}!`,
      `https://${'a.'.repeat(long)}`,
      `https://${'a.'.repeat(long)}!`,
      `${'a'.repeat(long)}:/`,
      `${'a+'.repeat(long)}://`,
      `https://example.com:${'1'.repeat(long)}`,
      `https://[${':'.repeat(long)}`,
      `https://${'-'.repeat(long)}\\`,
      `https://${'.example.com'.repeat(long / 10)}.`,
    ];
    for (const it of origin) expect(matches(entries, it)).toBe(false);
  });

  test('unless URL parses it to the very same origin', () => {
    const part = fc.constantFrom(
      ...['https://', 'http://', 'a', 'example', '.com', '.', ':', ':8', ':443', ':0', '/', '\\', '@', '?', '#', '%41'],
      ...['ä', 'A', ' ', '-', '_', '*', '[', ']', '[::1]', ',', '\t'],
    );
    const header = fc.array(part, { minLength: 1, maxLength: 8 }).map((parts) => parts.join(''));
    const matcher = origins.compile(['https://', 'http://']);
    fc.assert(
      fc.property(header, (origin) => {
        if (!matcher(origin)) return;
        const url = new URL(origin);
        const withPort = url.port === '' ? `${url.origin}:${url.protocol === 'https:' ? '443' : '80'}` : url.origin;
        expect([url.origin, withPort]).toContain(origin.toLowerCase());
      }),
      { numRuns: 1000 },
    );
  });
});

describe('an entry that is not an origin is refused', () => {
  test.each([
    '',
    ' ',
    '*',
    '**',
    '*.',
    '.example.com',
    '*example.com',
    '*.*.example.com',
    'a.*.example.com',
    'example.*',
    '**.example.com',
    'https://*',
    'https://*:443',
    'https://*.',
    '*://example.com',
    'http*://example.com',
    'https://example.com.',
    'https://example..com',
    'https://user@example.com',
    'https://user:pass@example.com',
    'https://example.com\\',
    'https://exa%6dple.com',
    'https://exa mple.com',
    ' https://example.com',
    'https://example.com ',
    'https://example.com\n',
    'https://example.com\0',
    'https://example.com,https://a.com',
    'https://example.com:',
    'https://example.com:0',
    'https://example.com:080',
    'https://example.com:65536',
    'https://example.com:99999',
    'https://example.com:**',
    'https://example.com:4*',
    'https://example.com:http',
    'https:example.com',
    'https:/example.com',
    'https:///example.com',
    '//example.com',
    '://',
    'https//example.com',
    '1http://example.com',
    'http://[::1',
    'http://[::1]x',
    'http://[::zz]',
    'http://[1:2]',
    'http://*.[::1]',
    'http://[]',
    'https://xn--a',
    'https://xn--',
    'https://*.xn--a',
    'xn--a.example',
    'app://xn--a',
    'app://*.xn--a',
    'app://[1:2]',
    'app://[:::::::::]',
    '(a+)+',
    '^https://example.com$',
  ])('%j', (entry) => {
    expect(origins.problem(entry)).toContain('https://app.example.com');
  });
});

test('one entry of several is enough', () => {
  const entries = ['https://a.example', 'https://*.b.example', 'null'];
  for (const origin of ['https://a.example', 'https://x.b.example', 'null'])
    expect(matches(entries, origin)).toBe(true);
  for (const origin of ['https://b.example', 'https://x.a.example', 'https://c.example']) {
    expect(matches(entries, origin)).toBe(false);
  }
});

describe('a star within the first label', () => {
  const entry = 'https://my-app-*.vercel.app';

  test.each(['https://my-app-git-main.vercel.app', 'https://my-app-1.vercel.app', 'HTTPS://MY-APP-x.VERCEL.app:443'])(
    'stands for one or more of its characters: %s',
    (origin) => {
      expect(matches(entry, origin)).toBe(true);
    },
  );

  test.each([
    'https://my-app-.vercel.app',
    'https://my-app-a.b.vercel.app',
    'https://b.my-app-a.vercel.app',
    'https://my-app-a.vercel.app.evil.io',
    'https://evil.io/my-app-a.vercel.app',
    'https://my-app-avercel.app',
    'https://my-app.vercel.app',
    'http://my-app-a.vercel.app',
    'https://my-app-a.vercel.app:8443',
  ])('and for nothing else: %s', (origin) => {
    expect(matches(entry, origin)).toBe(false);
  });

  test('may stand anywhere in it, beside a port, without a scheme', () => {
    expect(matches('*-preview.example.com:*', 'http://a-preview.example.com:3000')).toBe(true);
    expect(matches('*-preview.example.com', 'https://-preview.example.com')).toBe(false);
    expect(matches('aba*aba.example.com', 'https://ababa.example.com')).toBe(false);
    expect(matches('aba*aba.example.com', 'https://abaxaba.example.com')).toBe(true);
  });

  test.each([
    '*',
    'https://*',
    'https://my-*',
    '*example.com',
    '*.*.example.com',
    'a*b*.example.com',
    'a.b*.example.com',
    'a*.*.com',
  ])('is refused with its reason anywhere else: %s', (wrong) => {
    expect(origins.problem(wrong)).toContain('a * in the wrong place');
  });
});

describe('app://. of Electron', () => {
  test('is an origin, as entry and as header', () => {
    expect(matches('app://.', 'app://.')).toBe(true);
    expect(matches('app://', 'app://.')).toBe(true);
    expect(matches('https://app.example', 'app://.')).toBe(false);
  });

  test.each(['app://', 'app://..', 'app://./', 'app://.:80', 'https://.', '.', 'app://x'])(
    'but %s is not',
    (origin) => {
      expect(matches('app://.', origin)).toBe(false);
    },
  );
});

test.each([
  ['https://example.com/', 'ends with a slash'],
  ['https://*.example.com:8443/', 'ends with a slash'],
  ['example.com/path', 'has a path'],
  ['https://example.com?x', 'has a path'],
  ['https://example.com#x', 'has a path'],
])('the refusal of an entry names what is too much, and what would be left: %j', (entry, what) => {
  const origin = entry.replace(/(?<=\w)[/?#]\w*$/, '');
  expect(origins.problem(entry)).toBe(`${what}, and an Origin header never does; write "${origin}"`);
});
