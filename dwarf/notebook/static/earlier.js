// @ts-check
// Runs that an earlier execution of the same cell has begun and that still go on: each is named, and can be shown or ended.

import { askTwice, shortTime } from "./card.js";
import { make } from "./dom.js";
import { tell } from "./desk.js";

// Keeps the lines in `root` in step with the model. `now()` is the kernel's time.
export function earlierKeeper(model, desk, { now, shade }) {
  const root = make("div", { className: "dwarf-earlier", role: "note", "aria-label": "earlier runs of this cell" });
  const lines = new Map();
  const build = (run) => {
    const words = make("span");
    const said = make("span", { className: "dwarf-note", role: "status" });
    const act = async (button, what) => {
      button.disabled = true;
      try { tell(said, await desk.ask({ do: "earlier", which: run.id, act: what })); } catch (fault) { said.textContent = fault.message; said.classList.add("dwarf-wrong"); }
      button.disabled = false;
    };
    const show = make("button", { type: "button", className: "dwarf-act", textContent: "Show" });
    const cancel = make("button", { type: "button", className: "dwarf-act", textContent: "Cancel" });
    show.addEventListener("click", () => act(show, "show"));
    askTwice(cancel, "Cancel", "Cancel it now", () => act(cancel, "cancel"));
    return { line: make("div", { className: "dwarf-line" }, words, show, cancel, said), words };
  };
  const tick = () => {
    for (const run of /** @type {import("./messages").EarlierState[]} */ (model.get("earlier") ?? [])) {
      const look = shade().looks[run.state] ?? shade().looks[1];
      const clock = run.began ? ` · ${shortTime(now() - run.began)}` : "";
      const text = `${look.sign} An earlier run of this cell still goes on: ${run.name}${run.began ? ` · ${look.word}` : ""}${clock}`;
      const { words } = lines.get(run.id) ?? {};
      if (words && words.textContent !== text) words.textContent = text;
    }
  };
  const paint = () => {
    const runs = /** @type {import("./messages").EarlierState[]} */ (model.get("earlier") ?? []);
    const ids = runs.map((run) => run.id);
    for (const [id, { line }] of lines) if (!ids.includes(id)) { line.remove(); lines.delete(id); }
    for (const run of runs) {
      if (lines.has(run.id)) continue;
      lines.set(run.id, build(run));
      root.append(lines.get(run.id).line);
    }
    tick();
  };
  return { root, paint, tick };
}
