import { LISTS, count } from './words.mjs';

const onOff = (value) => (value ? 'on' : 'off');

/** The members that are saved together, and how their values are told. */
export const SETTINGS = [
  { name: 'name', label: 'Name', tell: (value) => value || '(none)' },
  { name: 'enabled', label: 'Enabled', tell: onOff },
  { name: 'requireSecret', label: 'Require secret', tell: onOff },
  { name: 'overrideAllowlists', label: 'Override allowlists', tell: onOff },
];

const PARTS = [
  ...SETTINGS.map(({ name, ...field }) => ({ ...field, name, of: (key) => key[name] })),
  {
    name: 'secrets',
    label: 'Secrets',
    of: ({ secrets }) => secrets,
    tell: (secrets) => count(secrets.length, 'secret'),
  },
  ...LISTS.map(({ type, title }) => ({
    name: type,
    label: title,
    of: ({ allowlists }) => allowlists[type],
    tell: (entries) => entries.join(', ') || '(none)',
  })),
];

/** The parts in which two states of a key differ, or that `changes` is about, each told in words. */
export function differences(before, theirs, changes = {}) {
  return PARTS.filter(({ name, of }) => name in changes || isDifferent(of(before), of(theirs))).map(
    ({ name, label, of, tell }) => ({
      name,
      label,
      before: tell(of(before)),
      theirs: tell(of(theirs)),
      isTheirs: isDifferent(of(before), of(theirs)),
      yours: name in changes ? tell(changes[name]) : undefined,
    }),
  );
}

function isDifferent(one, other) {
  return JSON.stringify(one) !== JSON.stringify(other);
}
