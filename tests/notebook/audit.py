"""What a page must keep to be usable by everybody: names, roles, contrast, reach by keyboard."""

from __future__ import annotations

from typing import Any

# Faults of what is shown under a selector, as lines. Contrast as WCAG 2 has it: 4.5, or 3 for large or bold large text.
AUDIT = r"""
(selector) => {
  const faults = [];
  const seen = (node) => node.getClientRects().length > 0 && getComputedStyle(node).visibility !== "hidden";
  const colour = (text) => {
    const parts = (text.match(/[\d.]+/g) ?? []).map(Number);
    return text.startsWith("rgb") ? { r: parts[0], g: parts[1], b: parts[2], a: parts[3] ?? 1 } : null;
  };
  const light = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const contrast = (one, other) => {
    const [high, low] = [light(one), light(other)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  const over = (top, below) => ({
    r: top.r * top.a + below.r * (1 - top.a), g: top.g * top.a + below.g * (1 - top.a),
    b: top.b * top.a + below.b * (1 - top.a), a: 1,
  });
  const behind = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) {
      const found = colour(getComputedStyle(at).backgroundColor);
      if (found && found.a > 0) layers.push(found);
      if (found && found.a === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), { r: 255, g: 255, b: 255, a: 1 });
  };
  const short = (node) => `${node.tagName.toLowerCase()}.${node.className?.baseVal ?? node.className} "${(node.textContent || node.value || "").trim().slice(0, 40)}"`;
  const nameOf = (node) => [
    node.getAttribute("aria-label"),
    ...(node.getAttribute("aria-labelledby") ?? "").split(" ").filter(Boolean).map((id) => document.getElementById(id)?.textContent),
    ...[...(node.labels ?? [])].map((label) => label.textContent),
    ["BUTTON", "A", "SUMMARY"].includes(node.tagName) ? node.textContent : "",
    node.querySelector?.(":scope > title")?.textContent,
  ].filter((text) => text?.trim()).join(" ").trim();
  const hidden = (node) => node.closest("[aria-hidden=true]");

  for (const root of document.querySelectorAll(selector)) {
    for (const node of root.querySelectorAll("*")) {
      if (!seen(node) || hidden(node)) continue;
      const style = getComputedStyle(node);
      const words = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
      if (words && !node.closest("svg") && !node.disabled && style.clipPath === "none") {
        const size = parseFloat(style.fontSize);
        const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
        const found = contrast(over(colour(style.color), behind(node)), behind(node));
        if (found < least) faults.push(`contrast ${found.toFixed(2)}: ${short(node)} ${style.color}`);
      }
      if (node.tagName === "text" && node.textContent.trim()) {
        const group = node.closest("g[data-node], g[data-part=flow]");
        const card = group?.querySelector("[data-part=card]");
        const ink = colour(style.fill);
        const sheet = card ?? node.ownerSVGElement.querySelector("rect");
        const paper = (sheet && colour(getComputedStyle(sheet).fill)) ?? behind(node.ownerSVGElement);
        if (ink && paper && contrast(ink, paper) < 4.5) faults.push(`contrast ${contrast(ink, paper).toFixed(2)}: ${short(node)}`);
      }
      const control = node.matches("button, input, select, textarea, a[href], summary, [tabindex], [role=button]");
      if (control && node.tabIndex >= 0 && !nameOf(node)) faults.push(`no name: ${short(node)}`);
      // of the nodes of a picture one is reached by Tab, the others from it by the arrow keys
      const roving = node.matches("[data-node]") && root.querySelector('[data-node][tabindex="0"]');
      if (node.matches("button, input, select, textarea, [role=button]") && node.tabIndex < 0 && !roving) faults.push(`not reached by keys: ${short(node)}`);
      if (node.matches("svg[role=img], img") && !(nameOf(node) || node.getAttribute("alt") !== null)) faults.push(`no name: ${short(node)}`);
      if (node.matches("[role=group], [role=dialog], section") && !nameOf(node)) faults.push(`no name: ${short(node)}`);
      for (const id of ["aria-labelledby", "aria-describedby"].flatMap((name) => (node.getAttribute(name) ?? "").split(" ").filter(Boolean))) {
        if (!document.getElementById(id)) faults.push(`refers to nothing: ${short(node)} ${id}`);
      }
    }
    if (!root.querySelector("[aria-live], [role=status]")) faults.push("nothing tells a change of status");
  }
  return faults;
}
"""


def faults(page: Any, selector: str) -> list[str]:
    """What keeps somebody from using what is shown under the selector; the selector must find something."""
    assert page.locator(selector).count(), f"nothing is shown as {selector}"
    return list(page.evaluate(AUDIT, selector))
