// @ts-check
// The dashboard: counts that filter, a table of flows, what can be done to each, and page after page.

import { askTwice, shortTime } from "./card.js";
import { make } from "./dom.js";
import { watchKernel } from "./life.js";
import { filterFields, keepShown } from "./lists.js";
import { overtimePart } from "./overtime.js";
import { partModel, renderRun } from "./run.js";
import { isComposing, isSending, ownKeys } from "./typing.js";

const ACTIONS = {
  pending: ["open", "cancel"], running: ["open", "cancel"], interrupted: ["open", "cancel", "delete"],
  completed: ["open", "fork", "delete"], failed: ["open", "retry", "fork", "delete"], cancelled: ["open", "retry", "fork", "delete"],
};
const LABELS = { open: "Open", cancel: "Cancel", retry: "Retry", fork: "Fork", delete: "Delete" };
const SURE = { cancel: "Cancel it?", delete: "Delete it?" };

function pill(look) {
  const node = make("span", { className: "dwarf-pill" }, make("span", { textContent: look.sign, "aria-hidden": "true" }), ` ${look.word}`);
  for (const name of ["fill", "line", "ink"]) {
    node.style.setProperty(`--${name}`, look[name]);
    node.style.setProperty(`--dark-${name}`, look.dark[name]);
  }
  return node;
}

// One row; it is kept as long as the flow is on the page, so that focus and half-made clicks are.
function buildRow(looks, send) {
  const cells = Object.fromEntries(["status", "flow", "node", "created", "took", "told", "acts"].map((name) => [name, make("td", { className: `dwarf-cell-${name}` })]));
  const root = make("tr", {}, ...Object.values(cells));
  /** @type {import("./messages").ListedFlow | null} */
  let row = null;
  const act = (kind) => send({ type: kind === "fork" ? "ask-fork" : kind, row: row.id });
  const fillActions = (opened) => {
    cells.acts.replaceChildren(...(ACTIONS[row.status] ?? ["open"]).map((kind) => {
      const label = kind === "open" && opened ? "Close" : LABELS[kind];
      const button = make("button", {
        type: "button", className: "dwarf-button dwarf-small", textContent: label, "aria-label": `${label} ${row.workflow} ${row.id}`,
      });
      if (SURE[kind]) askTwice(button, label, SURE[kind], () => act(kind));
      else button.addEventListener("click", () => (kind === "open" && opened ? send({ type: "close" }) : act(kind)));
      return button;
    }));
  };
  return {
    root,
    /**
     * @param {import("./messages").ListedFlow} fresh
     * @param {boolean} opened
     */
    update(fresh, opened) {
      const change = !row || row.status !== fresh.status || row.word !== fresh.word || root.classList.contains("dwarf-opened") !== opened;
      row = fresh;
      root.classList.toggle("dwarf-opened", opened);
      root.dataset.status = row.status;
      if (change) {
        cells.status.replaceChildren(pill({ ...(looks[row.status] ?? looks.pending), ...(row.word ? { word: row.word } : {}) }));
        const held = cells.acts.contains(document.activeElement) ? [...cells.acts.children].indexOf(document.activeElement) : -1;
        fillActions(opened);
        if (held >= 0) cells.acts.children[Math.min(held, cells.acts.children.length - 1)].focus();
      }
      cells.flow.replaceChildren(make("span", { textContent: row.name || row.workflow }), make("span", { className: "dwarf-where", textContent: ` ${[row.name && row.workflow, row.id, ...row.tags].filter(Boolean).join(" · ")}` }));
      cells.flow.title = `${row.workflow} ${row.id}`;
      cells.node.textContent = row.node;
      cells.node.title = row.node;
      cells.told.textContent = row.told;
      cells.told.title = row.told;
    },
    tick(now) {
      if (!row) return;
      cells.created.textContent = row.created ? `${shortTime(now - row.created)} ago` : "";
      cells.took.textContent = row.created ? shortTime((row.ended || now) - row.created) : "";
    },
  };
}

// Chooses a step to fork at, and what to change in its state.
function buildFork(send) {
  const title = make("div", { className: "dwarf-question" });
  const step = make("select", { className: "dwarf-input", "aria-label": "Step" });
  const changes = make("textarea", { className: "dwarf-input", rows: 3, spellcheck: false, placeholder: '{"field": "new value"}', "aria-label": "Changes to the state, as JSON" });
  const fault = make("div", { className: "dwarf-error", role: "alert" });
  const go = make("button", { type: "submit", className: "dwarf-button dwarf-main", textContent: "Fork" });
  const stop = make("button", { type: "button", className: "dwarf-button", textContent: "Not now" });
  const form = make("form", { className: "dwarf-card dwarf-fork", hidden: true }, title,
    make("label", { className: "dwarf-row" }, make("span", { textContent: "Run again from" }), step),
    make("label", { className: "dwarf-row" }, make("span", { textContent: "Changes, as JSON" }), changes),
    make("div", { className: "dwarf-buttons" }, go, stop), fault);
  let row = "";
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    fault.textContent = "";
    try { if (changes.value.trim()) JSON.parse(changes.value); } catch (error) { fault.textContent = `This is not JSON: ${error.message}`; return; }
    send({ type: "fork", row, step: Number(step.value), changes: changes.value });
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !isComposing(event)) send({ type: "close-fork" });
    if (isSending(event)) { event.preventDefault(); form.requestSubmit(); }
  });
  stop.addEventListener("click", () => send({ type: "close-fork" }));
  return {
    root: form,
    /** @param {import("./messages").ForkOffer} fork */
    show(fork) {
      form.hidden = !fork.row;
      if (!fork.row) { row = ""; return; }
      if (fork.row === row) return;
      row = fork.row;
      title.textContent = `Fork ${fork.name}`;
      step.replaceChildren(...fork.steps.map((label, place) => make("option", { value: String(place), textContent: label, selected: place === fork.chosen })));
      changes.value = "";
      fault.textContent = "";
      step.focus();
    },
  };
}

function render({ model, el }) {
  const { looks } = model.get("fixed");
  const root = make("div", { className: "dwarf-run dwarf-dashboard", role: "region", "aria-label": "Dashboard" });
  const life = watchKernel(model, root, { kept: model.get("fixed").kept, back: () => { filters.back(); paint(); } });
  const { send } = life;
  const counts = make("div", { className: "dwarf-counts", role: "group", "aria-label": "Filter by status" });
  const filters = filterFields(model, life, "Search flows");
  const notice = make("div", { className: "dwarf-empty", role: "status", "aria-live": "polite" });
  const fault = make("div", { className: "dwarf-error", role: "alert" });
  const body = make("tbody");
  const heads = ["Status", "Flow", "Node", "Created", "Took", "Error", "Actions"].map((name) => make("th", { textContent: name, scope: "col" }));
  const table = make("table", { className: "dwarf-table", "aria-label": "Flows" }, make("thead", {}, make("tr", {}, ...heads)), body);
  const empty = make("div", { className: "dwarf-empty" });
  const newer = make("button", { type: "button", className: "dwarf-button dwarf-small", textContent: "Newer" });
  const older = make("button", { type: "button", className: "dwarf-button dwarf-small", textContent: "Older" });
  const place = make("span", { className: "dwarf-where" });
  newer.addEventListener("click", () => send({ type: "newer" }));
  older.addEventListener("click", () => send({ type: "older" }));
  const pager = make("div", { className: "dwarf-pager" }, newer, place, older);
  const fork = buildFork(send);
  const overtime = overtimePart(looks, (id) => send({ type: "open", row: id }), filters.narrow);
  root.append(make("div", { className: "dwarf-bar-line" }, counts, make("div", { className: "dwarf-filters" }, ...filters.nodes)),
    overtime.root, notice, fault, make("div", { className: "dwarf-scroll" }, table), empty, pager, fork.root);
  ownKeys(root);
  el.append(root);

  const chips = new Map();
  const chip = (key, text, count, pressed) => {
    if (!chips.has(key)) {
      const made = make("button", { type: "button", className: "dwarf-chip" });
      made.addEventListener("click", () => send({ type: "filter", status: key === model.get("shown").status ? "" : key }));
      chips.set(key, made);
    }
    const node = chips.get(key);
    const words = `${text} ${count}`;
    if (node.textContent !== words) node.textContent = words;
    node.setAttribute("aria-pressed", String(pressed));
    if (looks[key]) node.style.borderColor = looks[key].line;
    return node;
  };
  const paintCounts = (shown) => {
    const more = shown.capped ? "+" : "";
    const wanted = [chip("", "All", shown.total.toLocaleString("en-US") + more, shown.status === "")];
    const known = new Map(shown.counts);
    if (shown.status && !known.has(shown.status)) known.set(shown.status, 0);
    for (const [key, count] of known) {
      const look = looks[key] ?? looks.pending;
      wanted.push(chip(key, `${look.sign} ${look.word}`, count.toLocaleString("en-US"), shown.status === key));
    }
    if ([...counts.children].some((node, at) => node !== wanted[at]) || counts.children.length !== wanted.length) {
      const held = document.activeElement;
      counts.replaceChildren(...wanted);
      if (held instanceof HTMLElement && wanted.includes(held)) held.focus();
    }
  };

  const rows = new Map();
  const paint = () => {
    /** @type {import("./messages").DashboardState} */
    const shown = model.get("shown");
    paintCounts(shown);
    filters.paint();
    overtime.paint(shown.over, life.now());
    notice.textContent = shown.notice;
    fault.textContent = shown.fault;
    empty.textContent = shown.empty;
    table.hidden = !shown.rows.length;
    const ids = new Set(shown.rows.map((row) => row.id));
    for (const [id, row] of rows) {
      if (!ids.has(id)) { row.root.remove(); rows.delete(id); }
    }
    shown.rows.forEach((row, at) => {
      if (!rows.has(row.id)) rows.set(row.id, buildRow(looks, send));
      const made = rows.get(row.id);
      made.update(row, row.id === shown.opened);
      // only what is out of place is moved, since moving takes the focus away
      if (body.children[at] !== made.root) body.insertBefore(made.root, body.children[at] ?? null);
    });
    pager.hidden = shown.page === 1 && !shown.more;
    newer.disabled = shown.page === 1;
    older.disabled = !shown.more;
    place.textContent = `Page ${shown.page}`;
    fork.show(shown.fork);
  };
  // The run that is opened stands beneath the list, as a view of its own.
  const stage = make("div", { className: "dwarf-beneath" });
  el.append(stage);
  let number = 0;
  let leave = () => {};
  const open = () => {
    const next = model.get("run_theme")?.number ?? 0;
    if (next === number) return;
    number = next;
    leave();
    stage.replaceChildren();
    leave = next ? renderRun({ model: partModel(model, "run_", "run"), el: stage }) : () => {};
  };
  open();
  model.on("change:run_theme", open);
  const stop = keepShown(model, root, life, paint, () => {
    rows.forEach((row) => row.tick(life.now()));
    overtime.tick(life.now());
  });
  return () => {
    leave();
    model.off("change:run_theme", open);
    stop();
  };
}

export default { render };
