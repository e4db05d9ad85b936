import { Dialog } from './dialog.mjs';
import { differences } from './fields.mjs';
import { html } from './html.mjs';
import { Problem } from './problem.mjs';
import { Time } from './time.mjs';

/** What somebody else changed and what is unsaved here, part by part, with the choice. */
export function Conflict({ before, theirs, changes, isDeleting, isBusy, error, onTheirs, onMine, onClose }) {
  const cell = (text, isChanged) => (isChanged ? html`<strong>${text}</strong>` : text);
  return html`
    <${Dialog} title="Somebody else changed this key" wide alert onClose=${onClose}>
      <p>
        It was changed at${' '}<${Time}
          at=${theirs.updatedAt}
        />${'; '}${isDeleting ? 'it has not been deleted.' : 'nothing of yours has been saved yet.'}
      </p>
      <table class="conflict" role="table">
        <thead role="rowgroup">
          <tr role="row">
            <th role="columnheader" scope="col">Setting</th>
            <th role="columnheader" scope="col">Before</th>
            <th role="columnheader" scope="col">Theirs</th>
            ${!isDeleting && html`<th role="columnheader" scope="col">Yours</th>`}
          </tr>
        </thead>
        <tbody role="rowgroup">
          ${differences(before, theirs, changes).map(
            (part) => html`
              <tr role="row" key=${part.name}>
                <th role="rowheader" scope="row">${part.label}</th>
                <td role="cell" data-label="Before">${part.before}</td>
                <td role="cell" data-label="Theirs">${cell(part.theirs, part.isTheirs)}</td>
                ${
                  !isDeleting &&
                  html`
                    <td role="cell" data-label="Yours">
                      ${
                        part.yours === undefined
                          ? html`<span class="quiet-text">not changed</span>`
                          : cell(part.yours, true)
                      }
                    </td>
                  `
                }
              </tr>
            `,
          )}
        </tbody>
      </table>
      <${Problem} error=${error} />
      ${
        isDeleting
          ? html`
              <footer>
                <button type="button" class="quiet" data-first onClick=${onTheirs}>Keep the key</button>
                <button type="button" class="danger" aria-busy=${isBusy} onClick=${onMine}>Delete it anyway</button>
              </footer>
            `
          : html`
              <p class="hint">“Apply mine” changes only what you changed, and leaves the rest as they have it.</p>
              <footer>
                <button type="button" class="quiet" data-first onClick=${onClose}>Go on editing</button>
                <button type="button" class="quiet" onClick=${onTheirs}>Keep theirs</button>
                <button type="button" aria-busy=${isBusy} onClick=${onMine}>Apply mine</button>
              </footer>
            `
      }
    <//>
  `;
}
