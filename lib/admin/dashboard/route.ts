import { useEffect, useLayoutEffect, useState } from 'preact/hooks';

// Each view says itself where it begins: the browser would scroll before there are rows to scroll to.
history.scrollRestoration = 'manual';

/** What would be lost by leaving the view. */
const unsaved = new Set<object>();
let shown = location.hash;
let before: string | undefined;
let ask: (hash: string) => void = () => undefined;
/** Where to go without asking: the user has been asked. */
let approved: string | undefined;

export type KeyTab = 'settings' | 'allowlists' | 'usage' | 'test' | 'history';

export type Route =
  | { readonly view: 'list' | 'history' | 'nowhere' }
  | { readonly view: 'key'; readonly apiKey: string; readonly tab: KeyTab };

/** The question whether to lose what is unsaved. */
export interface Leaving {
  readonly stay: () => void;
  readonly leave: () => void;
}

const TABS: readonly KeyTab[] = ['settings', 'allowlists', 'usage', 'test', 'history'];

export const LIST = '#/';
export const HISTORY = '#/history';
export const keyRoute = (apiKey: string, tab: KeyTab = 'settings') => `#/keys/${apiKey}/${tab}`;

function parse(hash: string): Route {
  const [, apiKey, name = 'settings'] = /^#\/keys\/(~?[A-Za-z0-9_-]+)(?:\/([a-z]+))?$/.exec(hash) ?? [];
  const tab = TABS.find((each) => each === name);
  if (apiKey !== undefined && tab !== undefined) return { view: 'key', apiKey, tab };
  if (hash === HISTORY) return { view: 'history' };
  return { view: ['', '#', LIST].includes(hash) ? 'list' : 'nowhere' };
}

/** The link on the list to the key that was shown before this view, if one was. */
export function linkBefore(): HTMLElement | undefined {
  const route = parse(before ?? LIST);
  return route.view === 'key' ? [...document.links].find(({ hash }) => hash === keyRoute(route.apiKey)) : undefined;
}

/** Goes to another view, after asking if that would lose something. */
export function go(hash: string): void {
  if (hash === location.hash) return;
  if (unsaved.size > 0) ask(hash);
  else goAnyway(hash);
}

/** Goes to another view although something may be unsaved: it is void, or the user has been asked. */
export function goAnyway(hash: string): void {
  approved = hash;
  location.hash = hash;
}

/** For the `onClick` of links within the page, whose `href` is a view. */
export function followLink(event: MouseEvent & { readonly currentTarget: HTMLAnchorElement }): void {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  go(event.currentTarget.getAttribute('href') ?? LIST);
}

/** While `isUnsaved`, nobody leaves the view or closes the window without being asked. */
export function useUnsaved(isUnsaved: boolean): void {
  useLayoutEffect(() => {
    if (!isUnsaved) return undefined;
    const mark = {};
    unsaved.add(mark);
    return () => {
      unsaved.delete(mark);
    };
  }, [isUnsaved]);
}

/** The view to show, and `leaving`: the question whether to lose what is unsaved, when it has come up. */
export function useRoute(): { readonly route: Route; readonly leaving: Leaving | undefined } {
  const [route, setRoute] = useState(() => parse(location.hash));
  const [wanted, setWanted] = useState<string>();

  useEffect(() => {
    ask = setWanted;
    const follow = () => {
      if (location.hash === shown) return;
      if (unsaved.size > 0 && location.hash !== approved) {
        // Back and forward have already happened: undo it, then ask.
        setWanted(location.hash || LIST);
        history.pushState(null, '', shown || LIST);
        return;
      }
      approved = undefined;
      before = shown;
      shown = location.hash;
      setRoute(parse(shown));
    };
    addEventListener('hashchange', follow);
    addEventListener('beforeunload', holdUnsaved);
    return () => {
      removeEventListener('hashchange', follow);
      removeEventListener('beforeunload', holdUnsaved);
    };
  }, []);

  const leaving = wanted === undefined ? undefined : leavingTo(wanted, () => setWanted(undefined));
  return { route, leaving };
}

function holdUnsaved(event: BeforeUnloadEvent): void {
  if (unsaved.size > 0) event.preventDefault();
}

function leavingTo(hash: string, answered: () => void): Leaving {
  return {
    stay: answered,
    leave() {
      answered();
      goAnyway(hash);
    },
  };
}
