// @ts-check
// Keys pressed in a view are the view's: no front end takes them for commands, or keeps a field from taking them.

/**
 * Keep what is typed below `root` from the page around it. The fields themselves, and listeners below `root` or on it,
 * see everything.
 *
 * @param {HTMLElement} root
 */
export function ownKeys(root) {
  root.dataset.lmSuppressShortcuts = "true"; // JupyterLab and Notebook 7 match no shortcut from here on
  // Some of their shortcuts are for whatever has the focus, and are looked for there before they get here.
  root.addEventListener("focusin", ({ target }) => {
    if (target instanceof HTMLElement || target instanceof SVGElement) target.dataset.lmSuppressShortcuts = "true";
  });
  for (const kind of ["keydown", "keypress", "keyup", "copy", "cut", "paste"]) {
    root.addEventListener(kind, (event) => event.stopPropagation());
  }
  // JupyterLab listens to the field itself, and cancels the line break that follows the Enter key in a cell.
  root.addEventListener("beforeinput", (event) => event.stopPropagation(), true);
}

/**
 * Whether a key is pressed to end a word of an input method, as for Japanese: it then means nothing else.
 *
 * @param {KeyboardEvent} event
 */
export function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}

/**
 * Whether a key press asks for what is written to be sent: Enter, with Ctrl or Command where Enter makes a new line.
 *
 * @param {KeyboardEvent} event
 */
export function isSending(event) {
  if (event.key !== "Enter" || isComposing(event) || !(event.target instanceof HTMLElement)) return false;
  if (event.ctrlKey || event.metaKey) return true;
  return event.target instanceof HTMLInputElement && takesText(event.target);
}

/**
 * Whether letters that are typed go into an element, so that a space there is one more letter and presses nothing.
 *
 * @param {Element} element
 */
export function takesText(element) {
  if (element instanceof HTMLInputElement) return !["checkbox", "radio", "file", "button", "submit", "range"].includes(element.type);
  return element instanceof HTMLTextAreaElement || (element instanceof HTMLElement && element.isContentEditable);
}
