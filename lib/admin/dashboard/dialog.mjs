import { useLayoutEffect, useRef } from 'preact/hooks';
import { html } from './html.mjs';

/**
 * A modal dialog for as long as it is rendered. Escape calls `onClose`, which decides; the focus goes back to where it was.
 * @param {{ title: string, onClose: () => void, wide?: boolean, alert?: boolean, children: unknown }} props
 */
export function Dialog({ title, onClose, wide, alert, children }) {
  const dialog = useRef();
  const titleId = useRef(`dialog-${Math.random().toString(36).slice(2)}`).current;

  useLayoutEffect(() => {
    const opener = document.activeElement;
    const element = dialog.current;
    element.showModal();
    (element.querySelector('[data-first]') ?? element.querySelector('h2')).focus();
    return () => {
      element.close();
      if (opener?.isConnected) opener.focus();
    };
  }, []);

  // Chrome closes a dialog on the second Escape whatever `cancel` says, unless the key itself is prevented.
  const onKeyDown = (event) => {
    if (event.key !== 'Escape' || event.defaultPrevented) return;
    event.preventDefault();
    event.stopPropagation();
    onClose();
  };
  const onCancel = (event) => {
    if (event.target !== dialog.current) return;
    event.preventDefault();
    onClose();
  };

  return html`
    <dialog
      ref=${dialog}
      class=${wide ? 'wide' : ''}
      role=${alert ? 'alertdialog' : undefined}
      aria-labelledby=${titleId}
      onKeyDown=${onKeyDown}
      onCancel=${onCancel}
    >
      <article>
        <h2 id=${titleId} tabindex="-1">${title}</h2>
        ${children}
      </article>
    </dialog>
  `;
}

/** A question with one dangerous answer. */
export function Confirm({ title, children, yes, no = 'Cancel', danger = true, isBusy = false, onYes, onNo }) {
  return html`
    <${Dialog} title=${title} onClose=${onNo} alert>
      ${children}
      <footer>
        <button type="button" class="quiet" data-first onClick=${onNo}>${no}</button>
        <button type="button" class=${danger ? 'danger' : ''} aria-busy=${isBusy} disabled=${isBusy} onClick=${onYes}>
          ${yes}
        </button>
      </footer>
    <//>
  `;
}
