import { ALLOWLISTS, ALLOWLIST_TYPES } from '../allowlists';
import { METHOD_ROWS } from '../allowlists/address-table';
import { compileLimits } from '../settings/compile';
import type { AllowlistType, Allowlists } from '../settings/key-settings';
import { grouped } from '../spelling';
import type { KeyView } from '../settings/key-view';

/** A warning about valid settings that may surprise. */
export interface Warning {
  readonly code:
    | 'NO_ACTIVE_SECRET'
    | 'SECRETS_EXPIRE_SOON'
    | 'OVERRIDE_WITHOUT_SECRET'
    | 'OPEN_TO_ALL'
    | 'ORIGIN_NEEDED'
    | 'NULL_ORIGIN_LISTED'
    | 'MULTICALL_LISTED'
    | 'ENTRY_DOUBTFUL'
    | 'BURST_BELOW_COST'
    | 'BURST_BELOW_PAGE'
    | 'REPORT_ONLY_FOR_LONG';
  /** The part of the settings that it is about. */
  readonly at: AllowlistType | 'secrets' | 'settings' | 'limits';
  readonly message: string;
}

/** Deployed at this address on most chains: a call to it can call any contract. */
const MULTICALL3 = '0xca11bde05977b3631167028862be2a173976ca11';
const REPORT_ONLY_MS = 30 * 24 * 60 * 60 * 1000;
const SOON_MS = 7 * 24 * 60 * 60 * 1000;
/** What a page of a dapp asks at once when it is opened. */
const CALLS_OF_PAGE = 30;

/** What calls cost, where that is known. */
export interface MethodPrices {
  /** Methods, and prefixes that end in `*`, that have a price of their own. */
  readonly priced: readonly string[];
  readonly priceOf: (method: string) => number;
}

/** What is surprising in a key's settings; with `prices`, in its limits beside them too. */
export function warningsOf(key: KeyView, prices?: MethodPrices): readonly Warning[] {
  const { requireSecret, overrideAllowlists, secrets, allowlists, reportOnly } = key;
  const warnings: Warning[] = [];
  const warn = (code: Warning['code'], at: Warning['at'], message: string) => warnings.push({ code, at, message });

  const active = secrets.filter(({ state }) => state === 'active');
  const lastExpiry = Math.max(...active.map(({ expiresAt }) => Date.parse(expiresAt ?? '') || Infinity));
  if (requireSecret && active.length === 0) {
    warn('NO_ACTIVE_SECRET', 'secrets', 'A secret is required and none is active: every request is refused.');
  } else if (requireSecret && lastExpiry < Date.now() + SOON_MS) {
    warn(
      'SECRETS_EXPIRE_SOON',
      'secrets',
      `From ${new Date(lastExpiry).toISOString().slice(0, 19)}Z on, no secret is active.`,
    );
  }
  if (overrideAllowlists && active.length === 0) {
    warn('OVERRIDE_WITHOUT_SECRET', 'settings', 'Override has no effect: there is no active secret to override with.');
  }
  const isInForce = (type: AllowlistType) => allowlists[type].length > 0 && !reportOnly.includes(type);
  if (!requireSecret && !ALLOWLIST_TYPES.some(isInForce)) {
    warn('OPEN_TO_ALL', 'settings', 'No secret is required and no list is in force: whoever has the key can call.');
  }
  if (isInForce('origins') && !(overrideAllowlists && active.length > 0)) {
    const text = 'Requests without an Origin header are refused: servers, scripts and mobile apps send none.';
    warn('ORIGIN_NEEDED', 'origins', text);
  }
  if (allowlists.origins.includes('null')) {
    warn('NULL_ORIGIN_LISTED', 'origins', 'Any website can send the origin "null", from a sandboxed frame.');
  }
  if (allowlists.contractAddresses.some((address) => address.toLowerCase() === MULTICALL3)) {
    const text = 'Multicall3 is listed: it calls any contract for its caller, so the list does not limit reading.';
    warn('MULTICALL_LISTED', 'contractAddresses', text);
  }
  warnings.push(...limitWarnings(key, prices));
  for (const type of key.reportOnly) {
    // A change by hand does not say when: then as long as nothing else has been changed.
    const { [type]: since = key.updatedAt } = key.reportOnlySince ?? {};
    if (Date.now() - Date.parse(since) < REPORT_ONLY_MS) continue;
    warn('REPORT_ONLY_FOR_LONG', type, `Since ${since} the list only reports: it refuses nothing.`);
  }
  for (const doubt of doubtsOf(allowlists)) warn('ENTRY_DOUBTFUL', doubt.type, doubt.message);
  for (const { id, label, allowlists: own } of secrets) {
    const of = `The secret ${label === '' ? id : label}`;
    for (const { message } of own === undefined ? [] : doubtsOf(own)) {
      warn('ENTRY_DOUBTFUL', 'secrets', `${of}: ${message}`);
    }
  }
  return warnings;
}

function limitWarnings({ limits, allowlists }: KeyView, prices: MethodPrices | undefined): readonly Warning[] {
  const { burst } = compileLimits(limits)?.second ?? {};
  if (burst === undefined) return [];
  const warnings: Warning[] = [];
  const warn = (code: Warning['code'], text: string) => {
    warnings.push({ code, at: 'limits', message: `The burst of ${grouped(burst)} ${text}` });
  };
  const { method, price } = prices === undefined ? { method: '', price: 0 } : dearestOf(prices, allowlists.methods);
  if (price > burst) {
    warn('BURST_BELOW_COST', `is less than ${method} costs, ${grouped(price)}: a call has to wait for a full bucket.`);
  }
  if (burst < CALLS_OF_PAGE) {
    warn('BURST_BELOW_PAGE', `is small: a page load of ${String(CALLS_OF_PAGE)} calls would be refused.`);
  }
  return warnings;
}

/** The method with the highest price that a list of methods lets pass, or the prefix that names it. */
function dearestOf(
  { priced, priceOf }: MethodPrices,
  listed: readonly string[],
): { readonly method: string; readonly price: number } {
  const isListed = listed.length === 0 ? () => true : ALLOWLISTS.methods.compile(listed);
  const methods = [...priced, ...listed, ...METHOD_ROWS.map(([method]) => method)]
    .filter((method) => isListed(method.replace(/\*$/, '')))
    .map((method) => ({ method, price: priceOf(method.replace(/\*$/, '')) }));
  return methods.reduce((most, each) => (each.price > most.price ? each : most), { method: '', price: 0 });
}

/** Entries that may not do what is meant: a mistyped method, a pattern that matches everything. */
export function doubtsOf(
  lists: Partial<Allowlists>,
): readonly { readonly type: AllowlistType; readonly message: string }[] {
  return ALLOWLIST_TYPES.flatMap((type) =>
    (lists[type] ?? []).flatMap((entry) => {
      const doubt = ALLOWLISTS[type].doubt(entry);
      return doubt === undefined ? [] : [{ type, message: `The entry ${JSON.stringify(entry)} ${doubt}` }];
    }),
  );
}
