import type { RequestAllowlist } from '../../lib/allowlists/allowlist';

/** A type of list as somebody would add it: one row. */
const languages: RequestAllowlist<'LANGUAGE_NOT_ALLOWED'> = {
  phase: 'request',
  title: 'Languages',
  one: 'language',
  many: 'languages',
  field: 'Language',
  help: 'The Accept-Language header has to begin with one of these.',
  first: 'From then on requests without the header are refused.',
  examples: ['de', 'en-GB'],
  sample: { label: 'An Accept-Language header', example: 'de-AT' },
  flag: '--language <language>',
  aliases: ['language', 'lang'],
  refusal: 'LANGUAGE_NOT_ALLOWED',
  ignoresCase: true,
  doubt: () => undefined,
  problem: (entry) => (/^[a-z-]+$/i.test(entry) ? undefined : 'is no language; write "de"'),
  compile: (entries) => (value) => entries.some((entry) => value.toLowerCase().startsWith(entry.toLowerCase())),
  reads: ({ headers }) => headers['accept-language'],
  header: 'Accept-Language',
};

/** For what is imported after this file. */
jest.mock('../../lib/allowlists', () => {
  const actual = jest.requireActual<{ readonly ALLOWLISTS: object }>('../../lib/allowlists');
  const ALLOWLISTS = { ...actual.ALLOWLISTS, languages };
  const ALLOWLIST_TYPES = Object.keys(ALLOWLISTS);
  const forEachType = (make: (type: string) => unknown) =>
    Object.fromEntries(ALLOWLIST_TYPES.map((type) => [type, make(type)]));
  return { ALLOWLISTS, ALLOWLIST_TYPES, forEachType };
});
