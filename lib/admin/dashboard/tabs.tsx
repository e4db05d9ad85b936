import { useRef } from 'preact/hooks';

interface Tab<Id extends string> {
  readonly id: Id;
  readonly label: string;
  readonly note?: string | undefined;
}

interface TabsProps<Id extends string> {
  readonly name: string;
  readonly label: string;
  readonly tabs: readonly Tab<Id>[];
  readonly selected: Id;
  readonly onSelect: (id: Id) => void;
}

/**
 * Tabs after the ARIA pattern: one stop of the Tab key, arrows, Home and End within. The panel is the caller's, by
 * `panelProps`.
 */
export function Tabs<Id extends string>({ name, label, tabs, selected, onSelect }: TabsProps<Id>) {
  const list = useRef<HTMLDivElement>(null);

  function onKeyDown(event: KeyboardEvent) {
    const now = tabs.findIndex(({ id }) => id === selected);
    const next = neighbour(event.key, now, tabs.length - 1);
    const tab = next === undefined ? undefined : tabs[next];
    if (next === undefined || tab === undefined) return;
    event.preventDefault();
    list.current?.querySelectorAll<HTMLElement>('[role="tab"]')[next]?.focus();
    onSelect(tab.id);
  }

  return (
    <div class="tabs" role="tablist" aria-label={label} ref={list} onKeyDown={onKeyDown}>
      {tabs.map((tab) => (
        <button
          key={tab.id}
          type="button"
          role="tab"
          id={`${name}-tab-${tab.id}`}
          aria-selected={tab.id === selected}
          aria-controls={tab.id === selected ? `${name}-panel` : undefined}
          tabindex={tab.id === selected ? 0 : -1}
          onClick={() => onSelect(tab.id)}
        >
          {tab.label}
          {tab.note && (
            <>
              <span class="dot" aria-hidden="true" />
              <span class="sr-only">, {tab.note}</span>
            </>
          )}
        </button>
      ))}
    </div>
  );
}

function neighbour(key: string, now: number, last: number): number | undefined {
  if (key === 'ArrowRight') return now === last ? 0 : now + 1;
  if (key === 'ArrowLeft') return now === 0 ? last : now - 1;
  if (key === 'Home') return 0;
  return key === 'End' ? last : undefined;
}

/** The attributes that make an element the panel of the selected tab. */
export function panelProps(name: string, selected: string) {
  return { id: `${name}-panel`, role: 'tabpanel', 'aria-labelledby': `${name}-tab-${selected}` } as const;
}
