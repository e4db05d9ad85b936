import { useEffect, useState } from 'preact/hooks';
import { html } from './html.mjs';
import { Check } from './icons.mjs';

const SHOWN_MS = 5_000;
let show = () => {};

/** Says in passing that something has been done. */
export function say(text) {
  show({ text });
}

export function Toast() {
  const [toast, setToast] = useState();

  useEffect(() => {
    show = setToast;
  }, []);
  useEffect(() => {
    const timer = setTimeout(setToast, SHOWN_MS, undefined);
    return () => clearTimeout(timer);
  }, [toast]);

  return html`<div class="toast" role="status">${toast && html`<p><${Check} /> ${toast.text}</p>`}</div>`;
}
