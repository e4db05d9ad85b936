import type { ShownKey } from '../api';
import { Dialog, DialogFooter } from './dialog';
import { Differences } from './differences';
import { differences } from './fields';
import type { FieldChanges } from './fields';
import { useLists } from './lists';
import { Problem } from './problem';
import { Time } from './time';

interface ConflictProps {
  readonly before: ShownKey;
  readonly theirs: ShownKey;
  /** What is unsaved here; `undefined` where the key was to be deleted. */
  readonly changes: FieldChanges | undefined;
  readonly isBusy: boolean;
  readonly error: Error | undefined;
  readonly onTheirs: () => void;
  readonly onMine: () => void;
  readonly onClose: () => void;
}

/** What somebody else changed and what is unsaved here, part by part, with the choice. */
export function Conflict({ before, theirs, changes, isBusy, error, onTheirs, onMine, onClose }: ConflictProps) {
  const lists = useLists();
  const isDeleting = changes === undefined;
  return (
    <Dialog title="Somebody else changed this key" wide alert onClose={onClose}>
      <p>
        It was changed at <Time at={theirs.updatedAt} />;{' '}
        {isDeleting ? 'it has not been deleted.' : 'nothing of yours has been saved yet.'}
      </p>
      <Differences
        parts={differences(before, theirs, changes ?? {}, lists)}
        columns={isDeleting ? ['Before', 'Theirs'] : ['Before', 'Theirs', 'Yours']}
      />
      <Problem error={error} />
      {!isDeleting && (
        <p class="hint">“Apply mine” changes only what you changed, and leaves the rest as they have it.</p>
      )}
      {isDeleting ? (
        <DialogFooter
          yes="Delete it anyway"
          no="Keep the key"
          isDangerous
          isBusy={isBusy}
          onYes={onMine}
          onNo={onTheirs}
        />
      ) : (
        <DialogFooter yes="Apply mine" no="Go on editing" isBusy={isBusy} onYes={onMine} onNo={onClose}>
          <button type="button" class="quiet" onClick={onTheirs}>
            Keep theirs
          </button>
        </DialogFooter>
      )}
    </Dialog>
  );
}
