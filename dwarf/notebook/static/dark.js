// @ts-check
// Whether the page is dark, as each front end says it.

export function pageIsDark() {
  const { body, documentElement: root } = document;
  if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false";
  if (["vscode-dark", "vscode-high-contrast", "dark", "dark-theme"].some((name) => body.classList.contains(name))) return true;
  if (root.dataset.theme === "dark" || root.classList.contains("dark")) return true;
  return getComputedStyle(root).colorScheme === "dark";
}

/**
 * Mark `root` with the page's shade, for the style sheet, and tell when it changes.
 *
 * @param {HTMLElement} root
 * @param {() => void} changed
 */
export function followShade(root, changed = () => {}) {
  let was = pageIsDark();
  root.dataset.dwarfDark = String(was);
  const watch = new MutationObserver(() => {
    if (pageIsDark() === was) return;
    was = !was;
    root.dataset.dwarfDark = String(was);
    changed();
  });
  for (const node of [document.body, document.documentElement]) {
    watch.observe(node, { attributes: true, attributeFilter: ["data-jp-theme-light", "class", "data-theme", "style"] });
  }
  return () => watch.disconnect();
}
