import type { ComponentChild } from 'preact';

type Icon = () => ComponentChild;

function stroke(path: string, look = 'icon'): Icon {
  return function Stroke() {
    return (
      <svg class={look} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
        <path d={path} />
      </svg>
    );
  };
}

export const Copy = stroke('M9 9h11v11H9zM5 15H4V4h11v1');
export const Check = stroke('M5 13l4 4L19 7');
export const Cross = stroke('M6 6l12 12M18 6L6 18');
export const Dash = stroke('M6 12h12');
export const Pencil = stroke('M4 20l1-4L16 5l3 3L8 19zM14 7l3 3');
export const Plus = stroke('M12 5v14M5 12h14');
export const Warning = stroke('M12 4L2.5 20h19zM12 10v4M12 17v.5');
export const Info = stroke('M12 3a9 9 0 100 18 9 9 0 000-18zM12 11v5M12 7.5v.5');
export const Up = stroke('M12 19V5M6 11l6-6 6 6');
export const Down = stroke('M12 5v14M6 13l6 6 6-6');
export const UpOrDown = stroke('M8 9l4-4 4 4M8 15l4 4 4-4', 'icon any');
export const Back = stroke('M14 6l-6 6 6 6');

export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <path class="shield" d="M16 2 27 6v9c0 7-4.5 12-11 15C9.5 27 5 22 5 15V6Z" />
      <path class="tick" d="m10.5 15.5 4 4 7-8" />
    </svg>
  );
}
