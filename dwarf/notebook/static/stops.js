// @ts-check
// The card of a breakpoint: the state with which the flow goes on, to be edited, and how far it goes.

import { askTwice, shortTime } from "./card.js";
import { make, nextId } from "./dom.js";
import { stateEditor } from "./state.js";

let stepped = false; // the reader goes on step by step, by the keyboard perhaps

/**
 * What builds the cards of breakpoints, and leaves all others, for `cardKeeper`.
 *
 * @param {any} desk
 * @returns {(prompt: import("./messages").CardState) => any}
 */
export function stopCards(desk) {
  return (prompt) => (prompt.stop && !prompt.closed ? buildStop(prompt, desk) : null);
}

/**
 * @param {import("./messages").CardState} prompt
 * @param {any} desk
 */
function buildStop(prompt, desk) {
  const id = nextId("stop");
  const root = make("section", { className: "dwarf-card dwarf-stop", role: "group", "aria-labelledby": id });
  const title = make("div", { className: "dwarf-question", textContent: prompt.title, id });
  const where = make("span", { className: "dwarf-where", textContent: prompt.node });
  const clock = make("span", { className: "dwarf-clock" });
  const about = make("div", { className: "dwarf-help" });
  const place = make("div", { className: "dwarf-stop-state", textContent: "…" });
  const error = make("div", { className: "dwarf-error", role: "alert" });
  const button = (label, style, help) => make("button", { type: "button", textContent: label, className: `dwarf-button ${style}`, title: help });
  const on = button("Go on", "dwarf-main", "as far as the next breakpoint");
  const step = button("Step", "", "and stop again before the next step");
  const cancel = button("Cancel", "", "end the flow");
  const buttons = [on, step, cancel];
  let editor = null;
  let isWhole = true;
  let busy = false;
  let fault = "";
  let done = false; // by the reader, on this very card

  const show = () => buttons.forEach((each) => { each.disabled = busy || (each !== cancel && Boolean(fault)); });
  const act = async (message) => {
    busy = true;
    error.textContent = "";
    show();
    try { await desk.ask(message); } catch (why) {
      stepped = false;
      error.textContent = why.message;
    }
    busy = false;
    show();
  };
  const go = (stepping) => {
    if (busy || fault) return;
    stepped = stepping;
    done = true;
    act({ do: "go", card: prompt.id, stepping, whole: isWhole, ...(editor?.isTouched() ? { text: editor.text() } : {}) });
  };
  on.addEventListener("click", () => go(false));
  step.addEventListener("click", () => go(true));
  askTwice(cancel, "Cancel", "Cancel the flow?", () => act({ do: "cancel" }));

  const load = async () => {
    try {
      const reply = await desk.ask({ do: "stopped", card: prompt.id });
      isWhole = reply.whole;
      const reached = prompt.stop === "before" ? "The step has not been run." : "The task has been run; what it changed is in the state.";
      const many = reply.count > 1 ? ` ${reply.count.toLocaleString("en-US")} branches have stopped here: the state of one is shown, and what you change is laid over each.` : "";
      about.textContent = reached + many;
      editor = stateEditor({
        text: reply.input,
        isWhole,
        label: isWhole ? "State" : "Changes; the state is too large to be shown",
        told: (found) => { fault = found.fault; show(); },
        send: () => go(false),
      });
      place.replaceChildren(editor.root);
    } catch (why) {
      place.replaceChildren();
      error.textContent = why.message;
    }
  };
  root.append(make("div", { className: "dwarf-head" }, title, where, clock), about, place, make("div", { className: "dwarf-buttons" }, ...buttons), error);
  load();
  if (stepped) requestAnimationFrame(() => {
    stepped = false;
    const held = document.activeElement;
    if (!held || held === document.body || held.closest(".dwarf-closed")) step.focus();
  });
  let seen = 0;
  return {
    root,
    release() { busy = false; show(); if (!editor) load(); },
    clock(now) { clock.textContent = prompt.since ? `waits ${shortTime(now - prompt.since)}` : ""; },
    update(fresh) {
      if (fresh.faults !== seen) { seen = fresh.faults; error.textContent = fresh.error; }
      if (!fresh.closed || root.classList.contains("dwarf-closed")) return;
      root.classList.add("dwarf-closed");
      root.replaceChildren(make("span", { className: "dwarf-mark", textContent: "✔", "aria-hidden": "true" }), title, make("span", { className: "dwarf-answer", textContent: fresh.closed }));
      if (done && !stepped) root.dispatchEvent(new CustomEvent("dwarf-closed", { bubbles: true }));
    },
  };
}
