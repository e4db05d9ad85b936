import type { ComponentChildren, TargetedSubmitEvent } from 'preact';
import { Conflict } from './conflict';
import { Problem } from './problem';
import type { Edit } from './use-edit';

interface EditFormProps {
  readonly edit: Edit;
  /** What the button that saves says. */
  readonly save: string;
  readonly children: ComponentChildren;
}

/** The fields of what is edited, what saves them, and the conflict that saving may find. */
export function EditForm({ edit, save, children }: EditFormProps) {
  const { base, changes, isDirty, conflict, saving } = edit;

  function onSubmit(event: TargetedSubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    if (isDirty) void saving.run(base.version);
  }

  return (
    <>
      <form onSubmit={onSubmit}>
        {children}
        <Problem error={conflict ? undefined : saving.error} />
        <div class={isDirty ? 'save dirty' : 'save'}>
          <p role="status">{isDirty ? 'Unsaved changes' : ''}</p>
          <button type="button" class="quiet" disabled={!isDirty} onClick={edit.discard}>
            Discard
          </button>
          <button type="submit" disabled={!isDirty} aria-busy={saving.isBusy}>
            {save}
          </button>
        </div>
      </form>
      {conflict && (
        <Conflict
          before={base}
          theirs={conflict}
          changes={changes}
          isBusy={saving.isBusy}
          error={saving.error}
          onTheirs={() => edit.take(conflict)}
          onMine={() => void saving.run(conflict.version)}
          onClose={edit.goOn}
        />
      )}
    </>
  );
}
