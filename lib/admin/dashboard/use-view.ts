import { useLayoutEffect, useRef } from 'preact/hooks';

let isFirst = true;

/** The document's title, after the view. */
export function useTitle(title: string): void {
  useLayoutEffect(() => {
    document.title = `${title} · rpc-guard`;
  }, [title]);
}

/** For a view's heading: takes the focus when the view replaces another, so that it is read out. */
export function useHeading() {
  const heading = useRef<HTMLHeadingElement>(null);
  useLayoutEffect(() => {
    if (!isFirst) heading.current?.focus();
    isFirst = false;
  }, []);
  return heading;
}
