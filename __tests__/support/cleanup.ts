/** What a test started, ended after it in reverse order. */
const endings: (() => unknown)[] = [];

export function endAfterTest(end: () => unknown): void {
  endings.push(end);
}

afterEach(async () => {
  while (endings.length > 0) await endings.pop()?.();
});
