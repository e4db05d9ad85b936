import { useEffect, useState } from 'preact/hooks';
import type { ShownKey } from '../api';
import { ApiError, api } from './api';
import { isDifferent } from './fields';
import type { Field, FieldChanges } from './fields';
import { useUnsaved } from './route';
import { say } from './toast';
import { useAction } from './use-action';
import type { Action } from './use-action';

export interface Edit {
  /** The key that is edited. */
  readonly base: ShownKey;
  readonly changes: FieldChanges;
  readonly isDirty: boolean;
  /** The key as somebody else has made it in the meantime. */
  readonly conflict: ShownKey | undefined;
  readonly saving: Action<[version: number]>;
  readonly change: <Name extends Field>(name: Name, value: FieldChanges[Name]) => void;
  /** Shows a key as it is, without changes. */
  readonly take: (key: ShownKey) => void;
  readonly discard: () => void;
  /** Goes on editing after a conflict. */
  readonly goOn: () => void;
}

/** Some members of a key, edited and saved together. */
export function useEdit(settings: ShownKey, setSettings: (key: ShownKey) => void, fields: readonly Field[]): Edit {
  const [base, setBase] = useState(settings);
  const [changes, setChanges] = useState<FieldChanges>({});
  const [conflict, setConflict] = useState<ShownKey>();
  const isDirty = Object.keys(changes).length > 0;
  useUnsaved(isDirty);

  // A secret that was added here makes a new version too. Only a change of what is edited may not pass unseen: then the
  // old version stays, and saving it shows the conflict.
  useEffect(() => {
    if (!isDirty || !fields.some((name) => isDifferent(settings[name], base[name]))) setBase(settings);
  }, [settings]);

  const saving = useAction(async (version: number) => {
    try {
      const { key } = await api.updateKey(base.apiKey, { version, ...changes });
      take(key);
      say('Settings saved');
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 'STALE_VERSION' || !error.current) throw error;
      setConflict(error.current);
    }
  });

  function take(key: ShownKey) {
    setBase(key);
    setSettings(key);
    setChanges({});
    setConflict(undefined);
  }

  function change<Name extends Field>(name: Name, value: FieldChanges[Name]) {
    saving.forget();
    const others = Object.fromEntries(Object.entries(changes).filter(([other]) => other !== name));
    setChanges(isDifferent(value ?? undefined, base[name]) ? { ...others, [name]: value } : others);
  }

  return {
    base,
    changes,
    isDirty,
    conflict,
    saving,
    change,
    take,
    discard: () => take(settings),
    goOn: () => setConflict(undefined),
  };
}
