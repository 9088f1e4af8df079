// @ts-check
// A window onto a large picture: as wide as there is room, at most 70 % of the page's window high, and without scroll
// bars of its own. It is zoomed by Ctrl and the wheel, by buttons and by keys, moved by dragging, and follows what runs.

import { make } from "./dom.js";

const LEAST = 0.1; // scale
const MOST = 2;
const READABLE = 0.6; // a picture that fits only below this is shown larger, and followed
const STEP = 1.25;
const ACTIVE = ["interrupted", "running", "nested", "retrying", "failed"];

/**
 * @param {HTMLElement} box where the picture is put
 */
export function viewportOf(box) {
  const button = (/** @type {string} */ text, /** @type {string} */ name, /** @type {() => void} */ act) => {
    const node = make("button", { type: "button", className: "dwarf-act dwarf-zoom", textContent: text, title: name, "aria-label": name });
    node.addEventListener("click", act);
    return node;
  };
  /** @type {SVGSVGElement | null} */
  let svg = null;
  let [wide, high, scale] = [0, 0, 1];
  let following = false;
  let chosen = false; // whether the reader has chosen a scale
  let asked = false; // whether the reader has said what to do; until then a picture too large to read is followed
  const follow = button("Follow", "Follow what runs (f)", () => toggle());
  follow.setAttribute("aria-pressed", "false");
  const bar = make("div", { className: "dwarf-zooms", role: "group", "aria-label": "Picture", hidden: true },
    button("−", "Smaller (-)", () => zoom(1 / STEP)), button("+", "Larger (+)", () => zoom(STEP)),
    button("Fit", "The whole picture (0)", () => fit()), follow);

  const limit = () => Math.max(0.7 * window.innerHeight, 240);
  const fits = () => Math.min(1, (box.clientWidth || wide) / wide, limit() / high);

  /** @param {number} next @param {number} [atX] @param {number} [atY] */
  const setScale = (next, atX = box.clientWidth / 2, atY = box.clientHeight / 2) => {
    if (!svg) return;
    const before = scale;
    scale = Math.min(Math.max(next, Math.min(LEAST, fits())), MOST);
    const [left, top] = [(box.scrollLeft + atX) / before, (box.scrollTop + atY) / before];
    svg.style.width = `${wide * scale}px`;
    svg.style.height = `${high * scale}px`;
    box.style.height = `${Math.min(high * scale, limit())}px`;
    box.scrollLeft = left * scale - atX;
    box.scrollTop = top * scale - atY;
    box.classList.toggle("dwarf-movable", wide * scale > box.clientWidth + 1 || high * scale > box.clientHeight + 1);
  };
  /** @param {number} by @param {number} [atX] @param {number} [atY] */
  const zoom = (by, atX, atY) => {
    chosen = asked = true;
    setScale(scale * by, atX, atY);
  };
  const fit = () => {
    chosen = false;
    asked = true;
    setFollow(false);
    setScale(fits());
  };
  const toggle = () => {
    asked = true;
    setFollow(!following);
  };
  /** @param {boolean} on */
  const setFollow = (on) => {
    following = on;
    follow.setAttribute("aria-pressed", String(on));
    if (on && scale < READABLE) setScale(0.8);
    if (on) seek();
  };
  /** Bring what is under way into sight, unless it is there already. */
  const seek = () => {
    if (!following || !svg) return;
    for (const state of ACTIVE) {
      const node = svg.querySelector(`[data-node][data-state="${state}"]`);
      if (!node) continue;
      const [part, all] = [node.getBoundingClientRect(), box.getBoundingClientRect()];
      if (part.left < all.left || part.right > all.right) box.scrollLeft += part.left + part.width / 2 - all.left - all.width / 2;
      if (part.top < all.top || part.bottom > all.bottom) box.scrollTop += part.top + part.height / 2 - all.top - all.height / 2;
      return;
    }
  };
  const measure = () => {
    if (!svg || !box.clientWidth) return;
    bar.hidden = fits() >= 0.999 && !chosen;
    if (!asked && following !== fits() < READABLE) setFollow(!following);
    if (!chosen && !following) setScale(fits());
    else setScale(scale);
  };

  box.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // the page goes on scrolling
    event.preventDefault();
    const edge = box.getBoundingClientRect();
    zoom(event.deltaY < 0 ? 1.1 : 1 / 1.1, event.clientX - edge.left, event.clientY - edge.top);
  }, { passive: false });
  let dragged = false;
  box.addEventListener("pointerdown", (event) => {
    dragged = false;
    if (event.button !== 0 || !box.classList.contains("dwarf-movable")) return;
    const [x, y, left, top] = [event.clientX, event.clientY, box.scrollLeft, box.scrollTop];
    const move = (/** @type {PointerEvent} */ next) => {
      const [dx, dy] = [next.clientX - x, next.clientY - y];
      if (!dragged && Math.abs(dx) + Math.abs(dy) < 5) return;
      dragged = true;
      asked = true;
      if (following) setFollow(false);
      box.scrollLeft = left - dx;
      box.scrollTop = top - dy;
    };
    const end = () => {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", end);
      window.removeEventListener("pointercancel", end);
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", end);
    window.addEventListener("pointercancel", end);
  });
  box.addEventListener("click", (event) => { if (dragged) event.stopPropagation(); }, true);
  box.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented || bar.hidden) return;
    if (event.key === "+" || event.key === "=") zoom(STEP);
    else if (event.key === "-") zoom(1 / STEP);
    else if (event.key === "0") fit();
    else if (event.key === "f") toggle();
    else return;
    event.preventDefault();
  });
  const watch = new ResizeObserver(measure);
  watch.observe(box);
  window.addEventListener("resize", measure);

  return {
    bar,
    seek,
    /** Whether a picture of this height has to be moved about to be read. @param {number} h */
    isHigh: (h) => limit() / h < READABLE,
    /** The picture has become higher or less high: it keeps its scale. @param {number} h */
    resize(h) {
      high = h;
      measure();
      seek();
    },
    /** Show another picture, of a width and a height in pixels. @param {SVGSVGElement} next @param {number} w @param {number} h */
    show(next, w, h) {
      [svg, wide, high] = [next, w, h];
      box.closest(".dwarf-stage")?.setAttribute("style", `--dwarf-width: ${Math.max(w, 280)}px`);
      measure();
      seek();
    },
    stop() {
      watch.disconnect();
      window.removeEventListener("resize", measure);
    },
  };
}
