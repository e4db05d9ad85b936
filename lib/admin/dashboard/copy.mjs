import { useEffect, useState } from 'preact/hooks';
import { html } from './html.mjs';
import { Check, Copy } from './icons.mjs';

const SHOWN_MS = 2_000;

/** A button that copies `text`, and says so. `what` names it for those who do not see where it stands. */
export function CopyButton({ text, what, label, onCopied, first }) {
  const [said, setSaid] = useState();

  useEffect(() => {
    if (said === undefined) return undefined;
    const timer = setTimeout(setSaid, SHOWN_MS, undefined);
    return () => clearTimeout(timer);
  }, [said]);

  async function onClick(event) {
    const isCopied = await copy(text, event.currentTarget);
    setSaid(isCopied ? 'Copied' : 'Could not copy: select it and copy by hand');
    if (isCopied) onCopied?.();
  }

  const isCopied = said === 'Copied';
  const name = isCopied && label ? undefined : `Copy ${what}`;
  return html`
    <button
      type="button"
      class=${label ? 'quiet copy' : 'icon-button copy'}
      aria-label=${name}
      title=${`Copy ${what}`}
      data-first=${first}
      onClick=${onClick}
    >
      <${isCopied ? Check : Copy} />${label && html`<span>${isCopied ? 'Copied' : label}</span>`}
    </button>
    <span role="status" class=${said && !isCopied ? 'hint' : 'sr-only'}>${said}</span>
  `;
}

/** The clipboard's API is there on https and localhost only; the old command is, everywhere. */
async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'sr-only';
    button.after(area); // within the button's dialog: nothing outside of a modal one can be selected
    area.select();
    const isCopied = document.execCommand('copy');
    area.remove();
    button.focus();
    return isCopied;
  }
}
