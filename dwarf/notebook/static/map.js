// @ts-check
// The progress of a map: one bar of shares, one line of words, the first errors, and the questions of the rows. Where
// the rows are shown too, they stand in a table that a click on a column's name sorts.

import { attention } from "./attention.js";
import { askTwice, cardKeeper } from "./card.js";
import { followShade, pageIsDark } from "./dark.js";
import { deskOf } from "./desk.js";
import { make } from "./dom.js";
import { earlierKeeper } from "./earlier.js";
import { watchKernel } from "./life.js";
import { stopCards } from "./stops.js";
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

// A cell for each row, or for several in a row: how much of it is done, and where something has failed.
function heatMap(looks) {
  const canvas = make("canvas", { className: "dwarf-heat", role: "img", hidden: true });
  let cells = "";
  let total = 0;
  const [size, gap] = [10, 2];
  const across = () => Math.max(Math.floor(((canvas.parentElement?.clientWidth ?? 640) - 4) / (size + gap)), 20);
  const columns = () => Math.min(across(), 60, Math.max(cells.length, 1));
  const paint = () => {
    canvas.hidden = !cells;
    if (!cells) return;
    const wide = columns();
    const dark = pageIsDark();
    const hue = (state) => (dark ? looks[state].dark.line : looks[state].line);
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [wide * (size + gap), Math.ceil(cells.length / wide) * (size + gap)];
    [canvas.width, canvas.height] = [width * scale, height * scale];
    [canvas.style.width, canvas.style.height] = [`${width}px`, `${height}px`];
    const brush = canvas.getContext("2d");
    brush.scale(scale, scale);
    [...cells].forEach((cell, at) => {
      const [x, y] = [(at % wide) * (size + gap), Math.floor(at / wide) * (size + gap)];
      brush.globalAlpha = 1;
      brush.fillStyle = cell === "x" ? hue("failed") : cell === "-" ? hue("cancelled") : dark ? "#2d3644" : "#e2e8f0";
      brush.fillRect(x, y, size, size);
      if (cell >= "1" && cell <= "9") {
        brush.globalAlpha = Number(cell) / 9;
        brush.fillStyle = hue("completed");
        brush.fillRect(x, y, size, size);
      }
    });
    const failed = [...cells].filter((cell) => cell === "x").length;
    canvas.setAttribute("aria-label", `heat map of ${total.toLocaleString("en-US")} rows${failed ? `, ${failed} cell${failed === 1 ? "" : "s"} with failed rows` : ""}`);
  };
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const at = Math.floor((event.clientY - box.y) / (size + gap)) * columns() + Math.floor((event.clientX - box.x) / (size + gap));
    const rows = Math.ceil(total / cells.length);
    const first = at * rows;
    const words = { x: rows > 1 ? "with failed ones" : "failed", "-": rows > 1 ? "with cancelled ones" : "cancelled", 0: "none has completed", 9: "completed" };
    const name = rows > 1 ? `rows ${first.toLocaleString("en-US")} to ${Math.min(first + rows, total) - 1}` : `row ${first}`;
    canvas.title = at < cells.length ? `${name}: ${words[cells[at]] ?? "some completed"}` : "";
  });
  return { root: canvas, show(heat, count) { if (heat !== cells || !heat) { [cells, total] = [heat ?? "", count]; paint(); } }, paint };
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
  const heat = heatMap(looks);
  const root = make("div", { className: "dwarf-run dwarf-map" }, head, bar, heat.root, errors, asks, grid);
  ownKeys(root);
  el.append(root);
  const life = watchKernel(model, root, { kept: model.get("kept"), gone: () => waits.set([]), back: () => { keeper.release(); cards(); } });
  const waits = attention();
  const desk = deskOf(life);
  const keeper = cardKeeper(asks, life.send, stopCards(desk));
  const earlier = earlierKeeper(model, desk, { now: life.now, shade: () => ({ looks: Object.values(looks) }) });
  root.prepend(earlier.root);
  askTwice(stop, "Cancel", "Cancel all rows", () => life.send({ type: "cancel" }));

  const paint = () => {
    /** @type {import("./messages").MapState} */
    const { parts, total, done, text, ended } = model.get("progress");
    const whole = total || parts.reduce((sum, [, count]) => sum + count, 0) || 1;
    words.textContent = text;
    heat.show(model.get("progress").heat, whole);
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
  const cards = () => {
    keeper.show(model.get("cards"));
    waits.set(model.get("cards").filter((card) => !card.stop).map((card) => ({ key: card.key, title: card.title, where: card.node })));
  };
  const told = () => {
    life.setClock(model.get("progress").now);
    life.hear();
    paint();
  };
  paint();
  cards();
  tabled();
  earlier.paint();
  model.on("change:progress", told); // one name at a time: not every front end takes several
  model.on("change:errors", told);
  model.on("change:cards", cards);
  model.on("change:earlier", earlier.paint);
  model.on("change:table", tabled);
  model.on("msg:custom", desk.receive);
  const timer = setInterval(() => { if (!life.isLost()) keeper.tick(life.now()); }, 500);
  const unshade = followShade(root, heat.paint);
  life.ready();
  return () => {
    clearInterval(timer);
    waits.leave();
    life.stop();
    unshade();
    model.off("change:progress", told);
    model.off("change:errors", told);
    model.off("change:cards", cards);
    model.off("change:earlier", earlier.paint);
    model.off("change:table", tabled);
    model.off("msg:custom", desk.receive);
  };
}

export default { render };
