// @ts-check
// Whether the kernel is there. It sends a beat every second to each view that somebody sees; where none comes, the view
// turns grey, stops its clocks and takes no clicks, until the kernel is heard again.

import { make } from "./dom.js";
import { pageIsDark } from "./dark.js";
import { takesText } from "./typing.js";

const SILENCE = 2400; // milliseconds without a word after which the kernel counts as gone
const CHECK = 400;
const SIGN_EVERY = 10_000; // between two signs that somebody is looking

/**
 * What the front end knows of its connection, where it tells: JupyterLab and Notebook 7 do.
 *
 * @param {any} model
 * @returns {{ status: string, connection: string }}
 */
function connectionOf(model) {
  try {
    const kernel = model.widget_manager?.kernel;
    return { status: kernel?.status ?? "", connection: kernel?.connectionStatus ?? "" };
  } catch {
    return { status: "", connection: "" };
  }
}

/**
 * Watch over the kernel of a view.
 *
 * @param {any} model the widget's model
 * @param {HTMLElement} root the view, which is greyed and locked
 * @param {{ kept: boolean, gone?: () => void, back?: () => void }} view whether its flows outlive the kernel, and what
 *   is called when the kernel goes and when it is heard again
 */
export function watchKernel(model, root, { kept, gone = () => {}, back = () => {} }) {
  const note = make("div", { className: "dwarf-lost", "aria-live": "polite" });
  root.prepend(note);
  let heard = Date.now();
  let checked = Date.now();
  let signed = 0;
  let lost = false;
  let lostAt = 0;
  let skew = 0; // seconds by which this page's clock is ahead of the kernel's
  /** @type {Set<HTMLButtonElement>} */
  const off = new Set();

  /** @param {any} message */
  const send = (message) => {
    if (lost) return;
    try { model.send(message); } catch { heard = 0; } // the front end has closed the connection
  };
  /** @param {string} kind */
  const told = (kind) => (pageIsDark() ? { type: kind, dark: true } : { type: kind });
  const sign = (kind = "here") => {
    signed = Date.now();
    send(told(kind));
  };
  // What the front end knows of the kernel may change while nothing is heard: one that was busy has died, say.
  const explain = () => {
    const since = new Date(heard || Date.now()).toLocaleTimeString(undefined, { hour12: false });
    const { status, connection } = connectionOf(model);
    const again = kept ? "run the cell again: the flow is kept." : "run the cell again.";
    const words = status === "busy" && connection === "connected"
      ? `No word from the kernel since ${since}: it is busy. This view goes on when the kernel does.`
      : `Not connected since ${since}. If the kernel has ended or was restarted, ${again}`;
    if (note.textContent !== words) note.textContent = words; // it is read aloud when it changes
  };
  const lose = () => {
    lost = true;
    lostAt = Date.now();
    root.classList.add("dwarf-gone");
    for (const button of root.querySelectorAll("button")) {
      if (!button.disabled) { button.disabled = true; off.add(button); }
    }
    for (const node of root.querySelectorAll("[data-node]")) node.setAttribute("aria-disabled", "true");
    explain();
    gone();
  };
  const find = () => {
    lost = false;
    root.classList.remove("dwarf-gone");
    for (const button of off) button.disabled = false;
    off.clear();
    for (const node of root.querySelectorAll("[data-node]")) node.removeAttribute("aria-disabled");
    note.textContent = "";
    sign("ready"); // what was sent meanwhile may be missing: the kernel sends everything again
    back();
  };
  /** @param {any} message */
  const hear = (message) => {
    if (typeof message?.now === "number") skew = Date.now() / 1000 - message.now;
    heard = Date.now();
    if (lost) find();
  };
  const check = () => {
    const now = Date.now();
    // a page that slept, or is not seen, may have missed what was sent
    if (document.hidden || now - checked > 5 * CHECK) {
      heard = Math.max(heard, now - SILENCE / 2);
      signed = 0;
    }
    checked = now;
    if (document.hidden) return;
    const { status, connection } = connectionOf(model);
    const cut = connection === "disconnected" || ["dead", "restarting", "autorestarting", "terminating"].includes(status);
    if (!lost && (cut || now - heard > SILENCE)) lose();
    else if (lost) explain();
    const rest = lost ? Math.min(Math.max((now - lostAt) / 2, 3000), 60_000) : SIGN_EVERY;
    if (now - signed > rest) {
      signed = now;
      try { model.send(told("here")); } catch { /* it is lost already */ }
    }
  };
  /** Let nothing through that would be sent; what is typed stays. @param {Event} event */
  const guard = (event) => {
    if (!lost || !(event.target instanceof Element)) return;
    const { target } = event;
    const acts = event.type !== "keydown" ? target.closest("button, [data-node], select, [type=submit]")
      : event instanceof KeyboardEvent && !target.matches("textarea, select, summary") && (event.key === "Enter" || (event.key === " " && !takesText(target)));
    if (!acts && event.type !== "submit") return;
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  const kinds = ["click", "submit", "keydown"];
  for (const kind of kinds) root.addEventListener(kind, guard, true);
  model.on("msg:custom", hear);
  const timer = setInterval(check, CHECK);
  document.addEventListener("visibilitychange", check);
  return {
    send,
    sign,
    ready: () => sign("ready"),
    hear: () => hear({}),
    /** The kernel's time, in seconds. */
    now: () => Date.now() / 1000 - skew,
    /** Take the kernel's time from a state that has just come. @param {number} now */
    setClock: (now) => { if (now) skew = Date.now() / 1000 - now; },
    isLost: () => lost,
    stop: () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", check);
      for (const kind of kinds) root.removeEventListener(kind, guard, true);
      model.off("msg:custom", hear);
    },
  };
}
