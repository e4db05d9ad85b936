import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { AllowlistMeta } from '../allowlist-meta';

/** The types of lists as the server tells them: the page knows none by itself. Empty until it has told them. */
export const Lists = createContext<readonly AllowlistMeta[]>([]);

export function useLists(): readonly AllowlistMeta[] {
  return useContext(Lists);
}
