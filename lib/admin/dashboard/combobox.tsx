import { useState } from 'preact/hooks';
import type { Meta } from '../api';

interface Option {
  readonly value: string;
  readonly note?: string;
}

interface OptionGroup {
  readonly group: string | undefined;
  readonly options: readonly Option[];
}

interface ComboboxProps {
  readonly id: string;
  readonly value: string;
  readonly onInput: (value: string) => void;
  readonly groups: Meta['methodGroups'];
  /** What is offered beside the groups for what was typed. */
  readonly extra?: (typed: string) => Option | undefined;
  readonly placeholder?: string;
  readonly 'aria-invalid'?: true | undefined;
  readonly 'aria-describedby'?: string;
}

/**
 * A text field with a filtered list of suggestions, after the ARIA combobox pattern. Anything may be typed: the list
 * only helps.
 */
export function Combobox({ id, value, onInput, groups, extra, ...field }: ComboboxProps) {
  const shown = groupsFor(value.trim(), groups, extra);
  const { isOpen, active, open, close, onKeyDown } = useChoice(
    id,
    shown.flatMap(({ options }) => options),
    onInput,
  );
  const choose = (option: string) => {
    onInput(option);
    close();
  };

  return (
    <div class="combobox" onFocusOut={close}>
      <input
        {...field}
        id={id}
        type="text"
        role="combobox"
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        aria-expanded={isOpen}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant={isOpen && active >= 0 ? optionId(id, active) : undefined}
        value={value}
        onInput={(event) => {
          onInput(event.currentTarget.value);
          open();
        }}
        onClick={open}
        onKeyDown={onKeyDown}
      />
      <Suggestions id={id} groups={shown} isOpen={isOpen} active={active} onChoose={choose} />
    </div>
  );
}

function groupsFor(typed: string, groups: Meta['methodGroups'], extra: ComboboxProps['extra']): readonly OptionGroup[] {
  const wanted = typed.toLowerCase();
  const offered = extra?.(typed);
  const matching = groups.map(({ group, methods }) => ({
    group,
    options: methods.filter((name) => name.toLowerCase().includes(wanted)).map((value) => ({ value })),
  }));
  return [{ group: undefined, options: offered ? [offered] : [] }, ...matching].filter(
    ({ options }) => options.length > 0,
  );
}

function optionId(id: string, index: number): string {
  return `${id}-option-${index}`;
}

/** Which option the arrow keys have reached. */
function useChoice(id: string, options: readonly Option[], onChoose: (value: string) => void) {
  const [wantsOpen, setWantsOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const isOpen = wantsOpen && options.length > 0;

  function show(isShown: boolean, index: number) {
    setWantsOpen(isShown);
    setActive(index);
    document.getElementById(optionId(id, index))?.scrollIntoView({ block: 'nearest' });
  }
  const close = () => show(false, -1);

  function onKeyDown(event: KeyboardEvent) {
    const last = options.length - 1;
    const chosen = isOpen ? options[active] : undefined;
    if (event.key === 'ArrowDown') show(true, active >= last ? 0 : active + 1);
    else if (event.key === 'ArrowUp') show(true, active <= 0 ? last : active - 1);
    else if (event.key === 'Escape' && isOpen) close();
    else if (event.key === 'Enter') {
      close();
      if (!chosen) return; // the form takes what was typed
      onChoose(chosen.value);
    } else return;
    event.preventDefault();
  }

  return { isOpen, active, open: () => show(true, -1), close, onKeyDown };
}

interface SuggestionsProps {
  readonly id: string;
  readonly groups: readonly OptionGroup[];
  readonly isOpen: boolean;
  readonly active: number;
  readonly onChoose: (value: string) => void;
}

function Suggestions({ id, groups, isOpen, active, onChoose }: SuggestionsProps) {
  let index = 0;
  const show = ({ value, note }: Option) => {
    const own = index++;
    return (
      <div
        key={value}
        id={optionId(id, own)}
        role="option"
        aria-selected={own === active}
        onMouseDown={(event) => event.preventDefault()}
        onClick={() => onChoose(value)}
      >
        <code>{value}</code>
        {note && <small> {note}</small>}
      </div>
    );
  };
  return (
    <div id={`${id}-list`} role="listbox" aria-label="Suggestions" hidden={!isOpen}>
      {groups.map(({ group, options }) => {
        if (group === undefined) return options.map(show);
        const groupId = `${id}-${group.replace(/\W/g, '')}`;
        return (
          <div key={group} role="group" aria-labelledby={groupId}>
            <span class="group" id={groupId}>
              {group}
            </span>
            {options.map(show)}
          </div>
        );
      })}
    </div>
  );
}
