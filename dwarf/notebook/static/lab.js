// @ts-check
// A lab in short: flows by status, questions that wait, what runs.

import { attention, notifySwitch } from "./attention.js";
import { make } from "./dom.js";
import { watchKernel } from "./life.js";
import { keepShown } from "./lists.js";
import { ownKeys } from "./typing.js";

function render({ model, el }) {
  const { looks } = model.get("fixed");
  const root = make("div", { className: "dwarf-run dwarf-lab", role: "region", "aria-label": "Lab" });
  const asks = attention();
  const life = watchKernel(model, root, { kept: model.get("fixed").kept, gone: () => asks.set([]), back: () => paint() });
  const name = make("span", { className: "dwarf-question" });
  const counts = make("div", { className: "dwarf-counts", role: "status" });
  const fault = make("div", { className: "dwarf-error", role: "alert" });
  const list = make("dl", { className: "dwarf-lab-list" });
  root.append(make("div", { className: "dwarf-bar-line" }, name, make("div", { className: "dwarf-filters" }, notifySwitch())), counts, fault, list);
  ownKeys(root);
  el.append(root);

  const pillOf = ([status, count, word]) => {
    const look = looks[status] ?? looks.pending;
    const node = make("span", { className: "dwarf-pill" }, make("span", { textContent: look.sign, "aria-hidden": "true" }), ` ${count.toLocaleString("en-US")} ${word ?? look.word}`);
    for (const part of ["fill", "line", "ink"]) {
      node.style.setProperty(`--${part}`, look[part]);
      node.style.setProperty(`--dark-${part}`, look.dark[part]);
    }
    return node;
  };
  const rowsOf = (label, rows, more) => {
    if (!rows.length) return [];
    const items = rows.map(([workflow, what]) => make("dd", {}, make("span", { textContent: what || "beginning" }), make("span", { className: "dwarf-where", textContent: ` ${workflow}` })));
    return [make("dt", { textContent: label }), ...items, ...(more ? [make("dd", { className: "dwarf-where", textContent: more })] : [])];
  };
  const paint = () => {
    /** @type {import("./messages").LabState} */
    const shown = model.get("shown");
    name.textContent = shown.name;
    fault.textContent = shown.fault;
    const counted = [...shown.counts, ...(shown.stopped.length ? [["interrupted", shown.stopped.length, "stopped at a breakpoint"]] : [])];
    counts.replaceChildren(...(counted.length ? counted.map(pillOf) : [make("span", { className: "dwarf-where", textContent: "no flows yet" })]));
    const left = shown.waits - shown.waiting.length;
    list.replaceChildren(...rowsOf("Waits for an answer", shown.waiting, left > 0 ? `and ${left.toLocaleString("en-US")} more: lab.inbox() has them all` : ""), ...rowsOf("Stopped", shown.stopped, ""), ...rowsOf("Runs", shown.running, ""));
    asks.set(shown.waiting.map(([workflow, title, key]) => ({ key, title, where: workflow })), shown.waits);
  };
  const stop = keepShown(model, root, life, paint, () => {});
  return () => {
    asks.leave();
    stop();
  };
}

export default { render };
