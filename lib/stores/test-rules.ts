import type { WritableSettingsStore } from './settings-store';

/** `test` of jest, vitest or node:test. */
export type Test = (name: string, run: () => Promise<void>) => unknown;

/** What a contract asks of its subject, each rule with its check. */
export type Rules<Subject> = readonly (readonly [rule: string, check: (subject: Subject) => Promise<void>])[];

interface Opened<Subject> {
  readonly subject: Subject;
  /** Called after the test, also when its check has failed. */
  readonly end: (() => unknown) | undefined;
}

/** Registers one test for each rule. `open` makes the subject of one test. */
export function testRules<Subject>(test: Test, rules: Rules<Subject>, open: () => Promise<Opened<Subject>>): void {
  for (const [name, check] of rules) {
    test(name, async () => {
      const { subject, end } = await open();
      try {
        await check(subject);
      } finally {
        await end?.();
      }
    });
  }
}

/** Registers one test for each rule of a store, which is initialised before its check and closed after it. */
export function testStoreRules<Store extends WritableSettingsStore>(
  test: Test,
  rules: Rules<Store>,
  open: () => Store | Promise<Store>,
): void {
  const initialised = rules.map(([name, check]) => {
    const checkInitialised = async (store: Store): Promise<void> => {
      await store.init?.();
      await check(store);
    };
    return [name, checkInitialised] as const;
  });
  testRules(test, initialised, async () => {
    const store = await open();
    return { subject: store, end: () => store.close?.() };
  });
}
