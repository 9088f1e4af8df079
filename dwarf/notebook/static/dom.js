// @ts-check
// Elements, and ids that are used once in a page.

/**
 * An element with properties, attributes (names with a dash, `role` and `for`) and children.
 *
 * @param {string} tag
 * @param {Record<string, any>} properties undefined and null are left out
 * @param {...(Node | string)} children
 * @returns {any} typed loosely, since what it is depends on the tag
 */
export function make(tag, properties = {}, ...children) {
  /** @type {any} */
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.includes("-") || name === "role" || name === "for") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children);
  return node;
}

let last = 0;
const WIDGET = Math.random().toString(36).slice(2, 8); // each widget has a module of its own, and all share one page

/**
 * An id that nothing else in the page has.
 *
 * @param {string} kind
 */
export function nextId(kind) {
  return `dwarf-${kind}-${WIDGET}-${++last}`;
}
