import { useEffect, useRef, useState } from 'preact/hooks';

/** Runs `action` one at a time and keeps what went wrong. `run` says whether it went well. */
export function useAction(action) {
  const [state, setState] = useState({ isBusy: false });
  const isBusy = useRef(false);

  async function run(...given) {
    if (isBusy.current) return false;
    isBusy.current = true;
    setState({ isBusy: true });
    let error;
    try {
      await action(...given);
    } catch (thrown) {
      error = thrown;
    }
    isBusy.current = false;
    setState({ isBusy: false, error });
    return error === undefined;
  }

  return { ...state, run, forget: () => setState({ isBusy: false }) };
}

/** `value`, once it has stayed the same for a moment. */
export function useSettled(value, milliseconds = 250) {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(setSettled, milliseconds, value);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return settled;
}
