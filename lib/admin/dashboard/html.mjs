import htm from 'htm';
import { h } from 'preact';

/** Markup as a tagged template. It makes elements, never HTML text, so that trusted types may be forbidden. */
export const html = htm.bind(h);
