import * as allowlists from '../allowlists';
import type { Allowlist } from '../allowlists/allowlist';
import type { AddressTable } from '../allowlists/address-table';
import type { AllowlistType } from '../settings/key-settings';
import type { RequestFacts } from '../request/request-facts';

export interface Preview {
  readonly entries: readonly { readonly entry: string; readonly problem: string | null }[];
  readonly samples: readonly { readonly sample: string; readonly matchedBy: string | null }[];
}

/** What is wrong with each entry, and which of the good ones lets each sample pass, by the guard's own matching. */
export function preview(
  type: AllowlistType,
  entries: readonly string[],
  samples: readonly string[],
  table: AddressTable,
): Preview {
  const list: Allowlist = allowlists[type];
  const checked = entries.map((entry) => ({ entry, problem: list.problem(entry) ?? null }));
  const good = checked.filter(({ problem }) => problem === null).map(({ entry }) => entry);
  return {
    entries: checked,
    samples: samples.map((sample) => {
      const matchedBy = good.find((entry) => matches(list, entry, sample, table)) ?? null;
      return { sample, matchedBy };
    }),
  };
}

function matches(list: Allowlist, entry: string, sample: string, table: AddressTable): boolean {
  if (list.decides === 'method') return list.compile([entry])(sample);
  if (list.decides === 'call') {
    return list.compile([entry])({ id: undefined, method: 'eth_getCode', params: [sample, 'latest'] }, table);
  }
  return list.compile([entry])(factsWith(sample));
}

/** A request of which the one header is known that a list looks at. */
function factsWith(header: string): RequestFacts {
  return {
    apiKey: '',
    authorization: undefined,
    origin: header,
    userAgent: header,
    headers: {},
    duplicateHeader: undefined,
    requestId: '',
  };
}
