import { useEffect, useLayoutEffect, useState } from 'preact/hooks';

/** What would be lost by leaving the view. */
const unsaved = new Set();
let shown = location.hash;
let ask = () => {};
/** Where to go without asking: the user has been asked. */
let approved;

const TABS = ['settings', 'allowlists', 'test'];

export const LIST = '#/';
export const keyRoute = (apiKey, tab = 'settings') => `#/keys/${encodeURIComponent(apiKey)}/${tab}`;

function parse(hash) {
  const [, apiKey, tab = 'settings'] = /^#\/keys\/([A-Za-z0-9_-]+)(?:\/([a-z]+))?$/.exec(hash) ?? [];
  if (apiKey !== undefined && TABS.includes(tab)) return { view: 'key', apiKey, tab };
  return { view: ['', '#', LIST].includes(hash) ? 'list' : 'nowhere' };
}

/** Goes to another view, after asking if that would lose something. */
export function go(hash) {
  if (hash === location.hash) return;
  if (unsaved.size > 0) ask(hash);
  else goAnyway(hash);
}

/** Goes to another view although something may be unsaved: it is void, or the user has been asked. */
export function goAnyway(hash) {
  approved = hash;
  location.hash = hash;
}

/** For the `onClick` of links within the page, whose `href` is a view. */
export function followLink(event) {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  go(event.currentTarget.getAttribute('href'));
}

/** While `isUnsaved`, nobody leaves the view or closes the window without being asked. */
export function useUnsaved(isUnsaved) {
  useLayoutEffect(() => {
    if (!isUnsaved) return undefined;
    const mark = {};
    unsaved.add(mark);
    return () => unsaved.delete(mark);
  }, [isUnsaved]);
}

/** The view to show, and `leaving`: the question whether to lose what is unsaved, when it has come up. */
export function useRoute() {
  const [route, setRoute] = useState(() => parse(location.hash));
  const [wanted, setWanted] = useState();

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
      shown = location.hash;
      setRoute(parse(shown));
    };
    const warn = (event) => {
      if (unsaved.size > 0) event.preventDefault();
    };
    addEventListener('hashchange', follow);
    addEventListener('beforeunload', warn);
    return () => {
      removeEventListener('hashchange', follow);
      removeEventListener('beforeunload', warn);
    };
  }, []);

  const leaving = wanted && {
    stay: () => setWanted(undefined),
    leave: () => {
      setWanted(undefined);
      goAnyway(wanted);
    },
  };
  return { route, leaving };
}
