import { useRef, useState } from 'preact/hooks';
import { html } from './html.mjs';

/**
 * A text field with a filtered list of suggestions, after the ARIA combobox pattern. Anything may be typed: the list
 * only helps.
 * @param {{ id: string, value: string, onInput: (value: string) => void, groups: { group: string, methods: string[] }[],
 *   extra?: (typed: string) => { value: string, note: string } | undefined }} props the rest goes to the field
 */
export function Combobox({ id, value, onInput, groups, extra, ...field }) {
  const [isOpen, setIsOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const list = useRef();

  const typed = value.trim().toLowerCase();
  const matching = groups
    .map(({ group, methods }) => ({ group, options: methods.filter((name) => name.toLowerCase().includes(typed)) }))
    .filter(({ options }) => options.length > 0);
  const offered = extra?.(value.trim());
  const options = [...(offered ? [offered.value] : []), ...matching.flatMap((group) => group.options)];
  const showsList = isOpen && options.length > 0;
  const optionId = (index) => `${id}-option-${index}`;

  function choose(option) {
    onInput(option);
    close();
  }
  function close() {
    setIsOpen(false);
    setActive(-1);
  }
  function move(index) {
    setIsOpen(true);
    setActive(index);
    list.current?.querySelector(`#${optionId(index)}`)?.scrollIntoView({ block: 'nearest' });
  }

  function onKeyDown(event) {
    const last = options.length - 1;
    if (event.key === 'ArrowDown') move(active >= last ? 0 : active + 1);
    else if (event.key === 'ArrowUp') move(active <= 0 ? last : active - 1);
    else if (event.key === 'Enter' && showsList && active >= 0) choose(options[active]);
    else if (event.key === 'Escape' && showsList) close();
    else {
      if (event.key === 'Enter') close(); // the form takes what was typed
      return;
    }
    event.preventDefault();
  }

  let index = 0;
  const option = (name, note) => {
    const own = index++;
    return html`
      <div
        key=${name}
        id=${optionId(own)}
        role="option"
        aria-selected=${own === active ? 'true' : 'false'}
        onMouseDown=${(event) => event.preventDefault()}
        onClick=${() => choose(name)}
      >
        <code>${name}</code>${note && html` <small>${note}</small>`}
      </div>
    `;
  };

  return html`
    <div class="combobox" onFocusOut=${close}>
      <input
        ...${field}
        id=${id}
        type="text"
        role="combobox"
        autocomplete="off"
        autocapitalize="off"
        spellcheck=${false}
        aria-expanded=${showsList ? 'true' : 'false'}
        aria-controls=${`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant=${showsList && active >= 0 ? optionId(active) : undefined}
        value=${value}
        onInput=${(event) => {
          onInput(event.currentTarget.value);
          setIsOpen(true);
          setActive(-1);
        }}
        onClick=${() => setIsOpen(true)}
        onKeyDown=${onKeyDown}
      />
      <div id=${`${id}-list`} role="listbox" aria-label="Suggestions" hidden=${!showsList} ref=${list}>
        ${offered && option(offered.value, offered.note)}
        ${matching.map(
          (group) => html`
            <div key=${group.group} role="group" aria-labelledby=${`${id}-${group.group.replace(/\W/g, '')}`}>
              <span class="group" id=${`${id}-${group.group.replace(/\W/g, '')}`}>${group.group}</span>
              ${group.options.map((name) => option(name))}
            </div>
          `,
        )}
      </div>
    </div>
  `;
}
