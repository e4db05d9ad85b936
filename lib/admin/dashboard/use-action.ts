import { useEffect, useRef, useState } from 'preact/hooks';

interface ActionState {
  readonly isBusy: boolean;
  readonly error?: Error | undefined;
}

export interface Action<Given extends readonly unknown[]> extends ActionState {
  /** Whether it went well; `false` also when one is under way already. */
  run(...given: Given): Promise<boolean>;
  /** Takes back what went wrong. */
  forget(): void;
}

/** Runs `action` one at a time and keeps what went wrong. */
export function useAction<Given extends readonly unknown[]>(action: (...given: Given) => Promise<void>): Action<Given> {
  const [state, setState] = useState<ActionState>({ isBusy: false });
  const isBusy = useRef(false);

  async function run(...given: Given): Promise<boolean> {
    if (isBusy.current) return false;
    isBusy.current = true;
    setState({ isBusy: true });
    let error: Error | undefined;
    try {
      await action(...given);
    } catch (thrown) {
      error = thrown instanceof Error ? thrown : new Error(String(thrown));
    }
    isBusy.current = false;
    setState({ isBusy: false, error });
    return error === undefined;
  }

  return {
    ...state,
    run,
    forget() {
      setState({ isBusy: isBusy.current });
    },
  };
}

/** `value`, once it has stayed the same for a moment. */
export function useSettled<T>(value: T, milliseconds = 250): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => {
      setSettled(() => value);
    }, milliseconds);
    return () => {
      clearTimeout(timer);
    };
  }, [value, milliseconds]);
  return settled;
}
