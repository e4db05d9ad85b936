/** What is known at once where it can be: a WebSocket must not lose its order to a promise that is already settled. */
export type ValueOrPromise<T> = T | Promise<T>;

/** `then` that stays synchronous for a value. */
export function whenKnown<T, U>(value: ValueOrPromise<T>, next: (known: T) => ValueOrPromise<U>): ValueOrPromise<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}
