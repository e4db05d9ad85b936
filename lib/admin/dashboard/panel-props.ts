import type { Meta, ShownKey } from '../api';
import type { AllowlistMeta } from '../allowlist-meta';
import type { Action } from './use-action';

/** A new secret, for the one time that it is shown. */
export interface SecretToShow {
  readonly settings: ShownKey;
  readonly secret: string;
  readonly title: string;
}

export type OnSecret = (secret: SecretToShow) => void;

/** What each part of a key's page works on. */
export interface PanelProps {
  readonly settings: ShownKey;
  readonly setSettings: (key: ShownKey) => void;
  readonly meta: Meta;
  readonly onSecret: OnSecret;
}

/** What the panels that add to a list work on. */
export interface AddPanelProps {
  readonly list: AllowlistMeta;
  readonly settings: ShownKey;
  readonly meta: Meta;
  readonly adding: Action<[entries: readonly string[]]>;
  /** What is filled in at first. */
  readonly begin: string | undefined;
  /** To the other panel. */
  readonly onSwitch: () => void;
  readonly onClose: () => void;
}
