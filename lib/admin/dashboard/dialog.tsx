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

interface DialogFooterProps {
  readonly yes: string;
  readonly no?: string | undefined;
  readonly isDangerous?: boolean;
  readonly isBusy?: boolean;
  readonly isDisabled?: boolean;
  /** Without it, `yes` submits the form that the footer stands in. */
  readonly onYes?: () => void;
  readonly onNo: () => void;
  /** An answer between the two. */
  readonly children?: ComponentChildren;
}

/** The answers to a dialog. To a question, the one that changes nothing has the focus. */
export function DialogFooter(props: DialogFooterProps) {
  const { yes, no = 'Cancel', isDangerous, isBusy = false, isDisabled = false, onYes, onNo, children } = props;
  return (
    <footer>
      <button type="button" class="quiet" data-first={onYes && true} onClick={onNo}>
        {no}
      </button>
      {children}
      <button
        type={onYes ? 'button' : 'submit'}
        class={isDangerous ? 'danger' : undefined}
        aria-busy={isBusy}
        disabled={isDisabled}
        onClick={onYes}
      >
        {yes}
      </button>
    </footer>
  );
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
export function Confirm({ title, children, yes, no, isBusy = false, onYes, onNo }: ConfirmProps) {
  return (
    <Dialog title={title} onClose={onNo} alert>
      {children}
      <DialogFooter yes={yes} no={no} isDangerous isBusy={isBusy} isDisabled={isBusy} onYes={onYes} onNo={onNo} />
    </Dialog>
  );
}
