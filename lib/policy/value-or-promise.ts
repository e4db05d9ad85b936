/** A value where it is known at once: awaiting a settled promise would let WebSocket messages overtake each other. */
export type ValueOrPromise<T> = T | Promise<T>;

/** `then` that stays synchronous for a value. */
export function whenKnown<T, U>(value: ValueOrPromise<T>, next: (known: T) => ValueOrPromise<U>): ValueOrPromise<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}
