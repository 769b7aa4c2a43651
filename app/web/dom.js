/* Short names for common DOM calls. */

/** The element with this id. */
export const $ = (id) => document.getElementById(id);

/** Adds an event listener to the element with this id. */
export const on = (id, type, listener) => $(id).addEventListener(type, listener);

/** A new element with properties or attributes, and children. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}
