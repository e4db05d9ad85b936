import type { TargetedMouseEvent } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Check, Copy } from './icons';

const SHOWN_MS = 2_000;
const COPIED = 'Copied';

interface CopyButtonProps {
  /** What is copied, or asks for it. */
  readonly text: string | (() => Promise<string>);
  /** Names it for those who do not see where it stands. */
  readonly what: string;
  readonly label?: string;
  /** Whether it takes the focus when its dialog opens. */
  readonly first?: boolean;
}

/** A button that copies `text`, and says so. */
export function CopyButton({ text, what, label, first }: CopyButtonProps) {
  const [said, setSaid] = useState<string>();

  useEffect(() => {
    if (said === undefined) return undefined;
    const timer = setTimeout(() => setSaid(undefined), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [said]);

  async function onClick({ currentTarget }: TargetedMouseEvent<HTMLButtonElement>) {
    const isDone = await copy(text, currentTarget);
    setSaid(isDone ? COPIED : 'Could not copy: select it and copy by hand');
  }

  const isCopied = said === COPIED;
  const name = isCopied && label ? undefined : `Copy ${what}`;
  return (
    <>
      <button
        type="button"
        class={label ? 'quiet copy' : 'icon-button copy'}
        aria-label={name}
        title={`Copy ${what}`}
        data-first={first}
        onClick={(event) => void onClick(event)}
      >
        {isCopied ? <Check /> : <Copy />}
        {label && <span>{isCopied ? COPIED : label}</span>}
      </button>
      <span role="status" class={said && !isCopied ? 'hint' : 'sr-only'}>
        {said}
      </span>
    </>
  );
}

/** Deprecated, and the one way to copy on plain http. */
interface OldDocument {
  execCommand(command: 'copy'): boolean;
}

/** The clipboard's API is there on https and localhost only; the old command is, everywhere. */
async function copy(source: CopyButtonProps['text'], button: HTMLElement): Promise<boolean> {
  const asked = typeof source === 'string' ? Promise.resolve(source) : source();
  try {
    // Safari lets a page copy what it has to wait for only so.
    await navigator.clipboard.write([new ClipboardItem({ 'text/plain': asked })]);
    return true;
  } catch {
    const text = await asked.catch(() => undefined);
    if (text === undefined) return false;
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'sr-only';
    button.after(area); // within the button's dialog: nothing outside of a modal one can be selected
    area.select();
    const isCopied = (document as OldDocument).execCommand('copy');
    area.remove();
    button.focus();
    return isCopied;
  }
}
