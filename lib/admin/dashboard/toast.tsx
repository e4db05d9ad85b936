import { useEffect, useState } from 'preact/hooks';
import { Check } from './icons';

interface ToastText {
  readonly text: string;
}

const SHOWN_MS = 5_000;
let show: (toast: ToastText) => void = () => undefined;

/** Says in passing that something has been done. */
export function say(text: string): void {
  show({ text });
}

export function Toast() {
  const [toast, setToast] = useState<ToastText>();

  useEffect(() => {
    show = setToast;
  }, []);
  useEffect(() => {
    const timer = setTimeout(() => setToast(undefined), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [toast]);

  return (
    <div class="toast" role="status">
      {toast && (
        <p>
          <Check /> {toast.text}
        </p>
      )}
    </div>
  );
}
