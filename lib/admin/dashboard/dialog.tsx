import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly wide?: boolean;
  readonly alert?: boolean;
  readonly children: ComponentChildren;
}

/** A modal dialog for as long as it is rendered. Escape calls `onClose`, which decides; the focus goes back to where it was. */
export function Dialog({ title, onClose, wide, alert, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useRef(`dialog-${Math.random().toString(36).slice(2)}`).current;

  useLayoutEffect(() => openModal(dialog.current!), []);

  // Chrome closes a dialog on the second Escape whatever `cancel` says, unless the key itself is prevented.
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Escape' || event.defaultPrevented) return;
    event.preventDefault();
    event.stopPropagation();
    onClose();
  };
  const onCancel = (event: Event) => {
    if (event.target !== dialog.current) return;
    event.preventDefault();
    onClose();
  };

  return (
    <dialog
      ref={dialog}
      class={wide ? 'wide' : ''}
      role={alert ? 'alertdialog' : undefined}
      aria-labelledby={titleId}
      onKeyDown={onKeyDown}
      onCancel={onCancel}
    >
      <article>
        <h2 id={titleId} tabindex={-1}>
          {title}
        </h2>
        {children}
      </article>
    </dialog>
  );
}

function openModal(dialog: HTMLDialogElement): () => void {
  const opener = document.activeElement;
  dialog.showModal();
  (dialog.querySelector<HTMLElement>('[data-first]') ?? dialog.querySelector('h2'))?.focus();
  return () => {
    dialog.close();
    if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
  };
}

interface ConfirmProps {
  readonly title: string;
  readonly children: ComponentChildren;
  readonly yes: string;
  readonly no?: string;
  readonly isBusy?: boolean;
  readonly onYes: () => void;
  readonly onNo: () => void;
}

/** A question with one dangerous answer. */
export function Confirm({ title, children, yes, no = 'Cancel', isBusy = false, onYes, onNo }: ConfirmProps) {
  return (
    <Dialog title={title} onClose={onNo} alert>
      {children}
      <footer>
        <button type="button" class="quiet" data-first onClick={onNo}>
          {no}
        </button>
        <button type="button" class="danger" aria-busy={isBusy} disabled={isBusy} onClick={onYes}>
          {yes}
        </button>
      </footer>
    </Dialog>
  );
}
