// @ts-check
// The progress of a map: one bar of shares, one line of words, the first errors, and the questions of the rows. Where
// the rows are shown too, they stand in a table that a click on a column's name sorts.

import { askTwice, cardKeeper } from "./card.js";
import { followShade } from "./dark.js";
import { make } from "./dom.js";
import { watchKernel } from "./life.js";
import { ownKeys } from "./typing.js";

function sortedTable(grid) {
  const order = { column: 0, down: false };
  let table = {};
  const compare = ([, one], [, other]) => {
    if (one === null || other === null) return Number(one === null) - Number(other === null);
    const way = typeof one === "number" && typeof other === "number" ? one - other : String(one).localeCompare(String(other));
    return order.down ? -way : way;
  };
  const paint = () => {
    const { columns = [], rows = [] } = table;
    if (!columns.length) { grid.replaceChildren(); return; }
    const heads = columns.map((name, place) => {
      const button = make("button", { type: "button", className: "dwarf-button dwarf-small", textContent: name });
      button.addEventListener("click", () => {
        order.down = order.column === place && !order.down;
        order.column = place;
        paint();
        grid.querySelectorAll("th button")[place].focus();
      });
      const head = make("th", { scope: "col" }, button);
      head.setAttribute("aria-sort", order.column !== place ? "none" : order.down ? "descending" : "ascending");
      return head;
    });
    const sorted = [...rows].sort((one, other) => compare(one[order.column], other[order.column]));
    const lines = sorted.map((row) => make("tr", {}, ...row.map(([text]) => make("td", { textContent: text }))));
    grid.replaceChildren(make("table", { className: "dwarf-table" },
      make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...lines)));
  };
  return { show: (shown) => { table = shown ?? {}; paint(); } };
}

function render({ model, el }) {
  const looks = model.get("looks");
  const name = make("span", { className: "dwarf-question", textContent: model.get("name") });
  const words = make("span", { className: "dwarf-where" });
  const stop = make("button", { type: "button", className: "dwarf-button dwarf-small", textContent: "Cancel" });
  const bar = make("div", { className: "dwarf-bar", role: "progressbar", "aria-label": model.get("name"), "aria-valuemin": "0" });
  const errors = make("div", { className: "dwarf-faults" });
  const asks = make("div", { className: "dwarf-cards" });
  const grid = make("div", { className: "dwarf-grid" });
  const rows = sortedTable(grid);
  const head = make("div", { className: "dwarf-head" }, name, words, stop);
  const root = make("div", { className: "dwarf-run dwarf-map" }, head, bar, errors, asks, grid);
  ownKeys(root);
  el.append(root);
  const life = watchKernel(model, root, { kept: model.get("kept"), back: () => keeper.release() });
  const keeper = cardKeeper(asks, life.send);
  askTwice(stop, "Cancel", "Cancel all rows", () => life.send({ type: "cancel" }));

  const paint = () => {
    /** @type {import("./messages").MapState} */
    const { parts, total, done, text, ended } = model.get("progress");
    const whole = total || parts.reduce((sum, [, count]) => sum + count, 0) || 1;
    words.textContent = text;
    stop.hidden = ended;
    bar.setAttribute("aria-valuemax", String(whole));
    bar.setAttribute("aria-valuenow", String(done));
    bar.setAttribute("aria-valuetext", text);
    bar.replaceChildren(...parts.map(([state, count]) => {
      const share = make("span", { title: `${count.toLocaleString("en-US")} ${looks[state].word}` });
      share.style.width = `${(100 * count) / whole}%`;
      share.style.background = looks[state].line;
      return share;
    }));
    errors.replaceChildren(...model.get("errors").map(([row, error]) => make("div", { textContent: `✘ ${row}: ${error}` })));
  };
  const tabled = () => rows.show(model.get("table"));
  const cards = () => keeper.show(model.get("cards"));
  const told = () => {
    life.setClock(model.get("progress").now);
    life.hear();
    paint();
  };
  paint();
  cards();
  tabled();
  model.on("change:progress", told); // one name at a time: not every front end takes several
  model.on("change:errors", told);
  model.on("change:cards", cards);
  model.on("change:table", tabled);
  const timer = setInterval(() => { if (!life.isLost()) keeper.tick(life.now()); }, 500);
  const unshade = followShade(root);
  life.ready();
  return () => {
    clearInterval(timer);
    life.stop();
    unshade();
    model.off("change:progress", told);
    model.off("change:errors", told);
    model.off("change:cards", cards);
    model.off("change:table", tabled);
  };
}

export default { render };
