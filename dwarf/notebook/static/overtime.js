// @ts-check
// Runs over time: a bar for each of the last flows, as high as it took long, and what became of the flows by workflow.

import { shortTime } from "./card.js";
import { make } from "./dom.js";

const LEAST_BAR = 4; // pixels
const MOST_BAR = 44;

/**
 * @param {Record<string, any>} looks
 * @param {(id: string) => void} open opens a flow
 * @param {(workflow: string) => void} narrow filters by a workflow
 */
export function overtimePart(looks, open, narrow) {
  const strip = make("div", { className: "dwarf-strip", role: "group" });
  const scale = make("span", { className: "dwarf-where" });
  const heads = ["Workflow", "Flows", "Succeeded", "Median", "95 % within"].map((name) => make("div", { role: "columnheader", textContent: name }));
  const head = make("div", { role: "row", className: "dwarf-rates-head" }, ...heads);
  const table = make("div", { className: "dwarf-rates", role: "table", "aria-label": "Success and times" }, head);
  const summary = make("summary");
  const root = make("details", { className: "dwarf-fold dwarf-overtime", open: true, hidden: true }, summary, strip, scale, make("div", { className: "dwarf-scroll" }, table));
  let told = "";
  let bars = [];
  /** @type {import("./messages").OverTime} */
  let over = { bars: [], statuses: [], names: [], rates: [], looked: 0 };
  let current = "";

  /** @param {any[]} bar @param {number} now */
  const took = (bar, now) => Math.max((bar[3] || now) - bar[2], 0);
  const tell = (button, bar, now) => {
    const look = looks[over.statuses[bar[1]]] ?? looks.pending;
    const words = `${over.names[bar[4]]} ${bar[0]}: ${look.word}, ${shortTime(took(bar, now))}`;
    if (button.title !== words) { button.title = words; button.setAttribute("aria-label", words); }
  };
  const focusOn = (button, take) => {
    for (const each of strip.children) each.tabIndex = each === button ? 0 : -1;
    current = button?.dataset.flow ?? "";
    if (take) button?.focus();
  };
  strip.addEventListener("keydown", (event) => {
    const all = [...strip.children];
    const at = all.indexOf(event.target);
    const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || next === undefined) return;
    event.preventDefault();
    focusOn(all[Math.min(Math.max(next, 0), all.length - 1)], true);
  });
  const barOf = (bar) => {
    const look = looks[over.statuses[bar[1]]] ?? looks.pending;
    const button = make("button", { type: "button", className: "dwarf-beat", tabIndex: -1 }, make("span", { "aria-hidden": "true" }));
    button.dataset.flow = bar[0];
    button.style.setProperty("--line", look.line);
    button.style.setProperty("--dark-line", look.dark.line);
    button.addEventListener("click", () => { focusOn(button, false); open(bar[0]); });
    return button;
  };
  const rateOf = ([name, count, share, median, most]) => {
    const pick = make("button", { type: "button", className: "dwarf-link", textContent: name, title: "show only these" });
    pick.addEventListener("click", () => narrow(name));
    const time = (value) => (value === null ? "" : shortTime(value));
    const words = [count.toLocaleString("en-US"), share === null ? "" : `${(100 * share).toFixed(share === 1 || share === 0 ? 0 : 1)} %`, time(median), time(most)];
    return make("div", { role: "row" }, make("div", { role: "rowheader" }, pick), ...words.map((text) => make("div", { role: "cell", textContent: text })));
  };
  const tick = (now) => {
    const longest = Math.max(...over.bars.map((bar) => took(bar, now)), 0.001);
    // as the square root, so that short flows are seen beside long ones
    bars.forEach(([button, bar]) => {
      const height = LEAST_BAR + (MOST_BAR - LEAST_BAR) * Math.sqrt(took(bar, now) / longest);
      button.firstChild.style.height = `${height.toFixed(1)}px`;
      tell(button, bar, now);
    });
    scale.textContent = over.bars.length ? `The highest bar took ${shortTime(longest)}.` : "";
  };
  return {
    root,
    paint(shown, now) {
      const next = JSON.stringify(shown ?? {});
      if (next === told) return;
      told = next;
      over = shown?.bars ? shown : over;
      root.hidden = over.bars.length < 2;
      summary.textContent = `The last ${over.bars.length.toLocaleString("en-US")} flows`;
      strip.setAttribute("aria-label", `the last ${over.bars.length} flows, oldest first`);
      const held = strip.contains(document.activeElement);
      bars = over.bars.map((bar) => [barOf(bar), bar]);
      strip.replaceChildren(...bars.map(([button]) => button));
      focusOn([...strip.children].find((each) => each.dataset.flow === current) ?? strip.lastChild, held);
      table.replaceChildren(head, ...over.rates.map(rateOf));
      table.setAttribute("aria-label", `Success and times of the last ${over.looked} flows`);
      tick(now);
    },
    tick: (now) => { if (over.bars.some((bar) => !bar[3])) tick(now); },
  };
}
