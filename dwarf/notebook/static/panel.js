// @ts-check
// The panel under the picture: the steps of a node, one step in full, and a fork of it with an edited state.
// Whatever is asked goes to the kernel as a message with a number, is checked there, and is answered under that number.

import { factOf, shortTime } from "./card.js";
import { tell } from "./desk.js";
import { make, nextId } from "./dom.js";
import { setAll, SVG } from "./picture.js";
import { saidParts } from "./said.js";
import { stateEditor } from "./state.js";
import { isComposing } from "./typing.js";

const BUSY_AFTER = 3000; // milliseconds

function timeOf(seconds) {
  if (!seconds) return "";
  const moment = new Date(seconds * 1000);
  const clock = moment.toLocaleTimeString(undefined, { hour12: false });
  return moment.toDateString() === new Date().toDateString() ? clock : `${moment.toLocaleDateString()} ${clock}`;
}

function stateMark(state, shade) {
  const look = shade.looks.find((each) => each.key === state) ?? shade.looks[0];
  const mark = make("span", { className: "dwarf-state" }, make("span", { textContent: look.sign, "aria-hidden": "true" }), ` ${look.word}`);
  mark.style.color = look.ink;
  mark.style.background = look.fill;
  mark.style.borderColor = look.line;
  return mark;
}

function facts(pairs) {
  const list = make("dl", { className: "dwarf-facts" });
  for (const [name, value] of pairs) {
    if (value === "" || value === null || value === undefined) continue;
    list.append(make("div", {}, make("dt", { textContent: name }), make("dd", {}, value)));
  }
  return list;
}

function fold(label, text, open = false) {
  const box = make("details", { className: "dwarf-fold", open });
  box.append(make("summary", { textContent: label }), make("pre", { textContent: text, tabIndex: 0, role: "group", "aria-label": label }));
  return box;
}

const SIGNS = { added: "+", changed: "~", removed: "−" };

function diffTable(rows) {
  const table = make("table", { className: "dwarf-diff" });
  const cell = (text) => make("td", {}, make("pre", { textContent: text }));
  const head = make("tr", {}, ...["", "field", "before", "after"].map((name) => make("th", { textContent: name, scope: "col" })));
  head.firstChild.setAttribute("aria-label", "change");
  table.append(make("caption", { textContent: rows.length ? "What it changed" : "It changed nothing" }));
  if (!rows.length) return table;
  table.append(make("thead", {}, head));
  const body = make("tbody");
  for (const [kind, name, before, after] of rows) {
    const sign = make("td", { className: `dwarf-kind dwarf-${kind}` }, make("span", { textContent: SIGNS[kind], "aria-hidden": "true" }), ` ${kind}`);
    body.append(make("tr", {}, sign, make("th", { textContent: name, scope: "row" }), cell(before), cell(after)));
  }
  table.append(body);
  return table;
}

// Its source: as it is, or where it was redefined as it ran, as it is now, and what has changed.
function sourceFold(step) {
  if (!step.ran) return fold(step.edited ? `Source (as it is now, ${step.edited})` : "Source", step.source);
  const box = make("details", { className: "dwarf-fold" });
  const views = {
    "As it ran": () => make("pre", { textContent: step.ran, tabIndex: 0, role: "group", "aria-label": "source as it ran" }),
    "As it is now": () => make("pre", { textContent: step.source, tabIndex: 0, role: "group", "aria-label": "source as it is now" }),
    Difference: () => factOf(step.change).node,
  };
  const place = make("div");
  const ways = Object.keys(views).map((name) => make("button", { type: "button", className: "dwarf-act dwarf-zoom", textContent: name }));
  const show = (name) => {
    sourceShown = name;
    ways.forEach((way) => way.setAttribute("aria-pressed", String(way.textContent === name)));
    place.replaceChildren(views[name]());
  };
  ways.forEach((way) => way.addEventListener("click", () => show(way.textContent)));
  show(sourceShown);
  box.append(make("summary", { textContent: `Source (${step.edited})` }), make("div", { className: "dwarf-line dwarf-ways", role: "group", "aria-label": "which source" }, ...ways), place);
  return box;
}

let sourceShown = "Difference"; // what the reader has chosen last

// The attempts of a step, each with its end, its time and its error.
function attemptsTable(rows) {
  const head = make("tr", {}, ...["attempt", "ended", "took", "what came of it"].map((name) => make("th", { textContent: name, scope: "col" })));
  const body = make("tbody", {}, ...rows.map(([number, ended, took, what]) => make("tr", {}, make("th", { textContent: number, scope: "row" }), ...[timeOf(ended), took, what].map((text) => make("td", { textContent: text })))));
  return make("table", { className: "dwarf-attempts" }, make("caption", { textContent: "Attempts" }), make("thead", {}, head), body);
}

// How much was done over time, as a small curve.
function curveOf(points) {
  const [width, height] = [220, 36];
  const [end, most] = [points.at(-1)[0] || 1, Math.max(...points.map(([, done]) => done)) || 1];
  const at = ([time, done]) => `${((time / end) * width).toFixed(1)} ${(height - (done / most) * height).toFixed(1)}`;
  const svg = document.createElementNS(SVG, "svg");
  setAll(svg, { viewBox: `-2 -2 ${width + 4} ${height + 4}`, class: "dwarf-curve", role: "img", "aria-label": `progress over ${shortTime(end)}` });
  const line = document.createElementNS(SVG, "path");
  const area = document.createElementNS(SVG, "path");
  setAll(line, { d: `M${points.map(at).join("L")}`, class: "dwarf-curve-line" });
  setAll(area, { d: `M0 ${height}L${points.map(at).join("L")}V${height}Z`, class: "dwarf-curve-area" });
  svg.append(area, line);
  return make("div", { className: "dwarf-curve-box" }, svg, make("span", { className: "dwarf-help", textContent: `over ${shortTime(end)}` }));
}

// The parameters of a step's function, and who wrote them.
function takesTable(rows) {
  const head = make("tr", {}, ...["parameter", "value", "written by"].map((name) => make("th", { textContent: name, scope: "col" })));
  const body = make("tbody", {}, ...rows.map(([name, value, by]) => make("tr", {}, make("th", { textContent: name, scope: "row" }), make("td", { textContent: value }), make("td", { textContent: by }))));
  return make("table", { className: "dwarf-takes" }, make("caption", { textContent: "What it took" }), make("thead", {}, head), body);
}

/**
 * @param {import("./messages").StepReply} step
 * @param {any} desk
 * @param {(reply?: import("./messages").ActionReply) => void} done
 */
function forkEditor(step, desk, done) {
  const id = nextId("editor");
  const bases = { input: step.input, after: step.result };
  const mode = make("select", { className: "dwarf-input", id: `${id}-at` },
    make("option", { value: "input", textContent: "run this step again, with this state" }));
  if (step.can_go_on) mode.append(make("option", { value: "after", textContent: "keep its result, and go on after it" }));
  const error = make("div", { className: "dwarf-check dwarf-wrong", role: "alert" });
  const go = make("button", { type: "button", textContent: "Start the fork", className: "dwarf-act dwarf-main" });
  const no = make("button", { type: "button", textContent: "Never mind", className: "dwarf-act" });
  const editor = stateEditor({
    text: step.input,
    isWhole: step.whole,
    label: step.whole ? "State" : "Changes; the state is too large to be shown whole",
    told: ({ fault }) => { go.disabled = Boolean(fault); },
    send: () => go.click(),
  });
  mode.addEventListener("change", () => { if (!editor.isTouched()) editor.reset(bases[mode.value]); });
  no.addEventListener("click", () => done());
  go.addEventListener("click", async () => {
    go.disabled = true;
    error.textContent = "";
    try {
      done(await desk.ask({ do: "fork", step: step.step, at: mode.value, text: editor.text(), whole: step.whole }));
    } catch (fault) {
      error.textContent = fault.message;
      go.disabled = false;
    }
  });
  const root = make("div", { className: "dwarf-editor" }, make("label", { textContent: "Fork", for: mode.id }), mode, editor.root, error, make("div", { className: "dwarf-line" }, go, no));
  return { root, focus: editor.focus };
}

export function panelKeeper(model, desk, picture) {
  const title = make("div", { className: "dwarf-title", role: "heading", "aria-level": "4", tabIndex: -1 });
  const mark = make("span");
  const back = make("button", { type: "button", className: "dwarf-act dwarf-quiet" });
  const close = make("button", { type: "button", className: "dwarf-act dwarf-quiet", textContent: "Close", title: "Escape" });
  const body = make("div", { className: "dwarf-body" });
  const said = make("div", { className: "dwarf-note", role: "status" });
  const stopBar = make("div", { className: "dwarf-line dwarf-stops", hidden: true, role: "group", "aria-label": "breakpoints" });
  const root = make("section", { className: "dwarf-panel", hidden: true }, make("div", { className: "dwarf-line" }, title, mark, back, close), stopBar, body, said);
  let place = null; // { node, page, step }: what is open
  let seen = "";
  let editing = false;
  let busy = 0;
  let timer = 0;

  const wait = () => {
    clearTimeout(busy);
    busy = setTimeout(() => { if (desk.pending()) said.textContent = "The kernel is busy: it answers when it is free."; }, BUSY_AFTER);
  };
  const load = async (focus = false) => {
    const wanted = place;
    wait();
    try {
      const reply = await desk.ask({ do: wanted.step ? "step" : "node", ...wanted });
      if (place !== wanted || editing) return;
      said.replaceChildren();
      said.classList.remove("dwarf-wrong");
      show(reply);
      if (focus) title.focus();
    } catch (fault) {
      if (place !== wanted) return;
      said.classList.add("dwarf-wrong");
      said.textContent = fault.message;
    }
  };
  const go = (next, focus = true) => { editing = false; place = next; load(focus); };

  const show = (reply) => {
    const shade = picture.shade();
    title.textContent = reply.title;
    root.setAttribute("aria-label", `${reply.title}, details`);
    mark.replaceChildren(reply.state ? stateMark(reply.state, shade) : "");
    back.hidden = !reply.of;
    back.textContent = reply.of ? `All ${reply.of.toLocaleString("en-US")} steps` : "";
    showStops(reply.stops);
    const open = [...body.querySelectorAll("details")].map((each) => each.open);
    body.replaceChildren(...(reply.rows ? listOf(reply, shade) : stepOf(reply)));
    [...body.querySelectorAll("details")].forEach((each, index) => { if (open[index]) each.open = true; });
  };

  // Whether the flow stops at this node, to be switched by a click.
  /** @param {import("./messages").Stops | undefined} stops */
  const showStops = (stops) => {
    stopBar.hidden = !stops;
    if (!stops) return;
    stopBar.replaceChildren(...["before", "after"].map((at) => {
      const button = make("button", { type: "button", className: "dwarf-act dwarf-zoom", textContent: `Stop ${at}`, "aria-pressed": String(stops[at]) });
      button.addEventListener("click", async () => {
        try {
          showStops((await desk.ask({ do: "stop", node: place.node, at })).stops);
          [...stopBar.children].find((each) => each.textContent === `Stop ${at}`)?.focus();
        } catch (fault) { said.textContent = fault.message; }
      });
      return button;
    }));
  };

  /**
   * @param {import("./messages").NodeReply} reply
   * @param {any} shade
   */
  const listOf = (reply, shade) => {
    const rows = reply.rows.map((row) => {
      const open = make("button", { type: "button", className: "dwarf-link", textContent: row.label });
      open.addEventListener("click", () => go({ ...place, step: row.step }));
      const cells = [open, row.item ?? "", stateMark(row.state, shade), row.attempt, timeOf(row.began), row.took, row.error];
      return make("tr", {}, ...cells.map((cell) => make("td", {}, cell)));
    });
    const names = ["step", "item", "status", "attempts", "began", "took", "error"];
    const head = make("tr", {}, ...names.map((name) => make("th", { textContent: name, scope: "col" })));
    const table = make("table", { className: "dwarf-steps" }, make("thead", {}, head), make("tbody", {}, ...rows));
    const turn = (label, page, off) => {
      const button = make("button", { type: "button", className: "dwarf-act", textContent: label, disabled: off });
      button.addEventListener("click", () => go({ ...place, page }));
      return button;
    };
    const first = reply.page * reply.size + 1;
    const range = `${first.toLocaleString("en-US")} to ${(first + rows.length - 1).toLocaleString("en-US")} of ${reply.total.toLocaleString("en-US")}`;
    const pager = make("div", { className: "dwarf-line" }, turn("Previous", reply.page - 1, reply.page === 0),
      make("span", { textContent: range }), turn("Next", reply.page + 1, first + rows.length > reply.total));
    const filter = make("div", { className: "dwarf-line", role: "group", "aria-label": "which steps" });
    const choices = reply.kinds?.length > 1 || reply.only ? ["", ...(reply.kinds ?? []), "slow"] : [];
    for (const only of choices) {
      const label = only === "slow" ? "slowest first" : only ? (shade.looks.find((each) => each.key === only)?.word ?? only) : "all";
      const button = make("button", { type: "button", className: "dwarf-act dwarf-zoom", textContent: label, "aria-pressed": String((reply.only ?? "") === only) });
      button.addEventListener("click", () => go({ node: place.node, page: 0, only }));
      filter.append(button);
    }
    return [make("p", { className: "dwarf-help", textContent: reply.about }), ...(choices.length ? [filter] : []), table, ...(reply.total > reply.size ? [pager] : [])];
  };

  /** @param {import("./messages").StepReply | import("./messages").NodeReply} step */
  const stepOf = (step) => {
    if (!("step" in step)) return [make("p", { className: "dwarf-help", textContent: step.about ?? "" })];
    const parts = [facts([
      ["attempts", step.attempt], ["next attempt", timeOf(step.again)], ["created", timeOf(step.created)], ["started", timeOf(step.began)],
      ["finished", timeOf(step.finished)], ["took", step.took], ["waited to run", step.waited], ["progress", step.progress], ["asks", step.asks],
      ["task URL", step.url], ["code", step.code?.slice(0, 12)], ["cached", step.cached],
    ])];
    if (step.curve) parts.push(curveOf(step.curve));
    if (step.doc) parts.unshift(make("p", { className: "dwarf-help dwarf-doc", textContent: step.doc }));
    if (step.error) parts.push(make("pre", { className: "dwarf-trouble", textContent: step.error }));
    for (const text of step.warnings ?? []) parts.push(make("pre", { className: "dwarf-caution", textContent: text }));
    if (step.traceback) parts.push(fold("Traceback", step.traceback));
    if (step.attempts?.length) parts.push(attemptsTable(step.attempts));
    parts.push(...saidParts(step, root.closest("[data-dwarf-dark='true']") !== null));
    if (step.takes?.length) parts.push(takesTable(step.takes));
    parts.push(diffTable(step.diff));
    parts.push(fold("State before", step.before));
    if (step.source) parts.push(sourceFold(step));
    parts.push(actionsOf(step));
    return parts;
  };

  /** @param {import("./messages").StepReply} step */
  const actionsOf = (step) => {
    const row = make("div", { className: "dwarf-line" });
    const fork = make("button", { type: "button", className: "dwarf-act dwarf-main", textContent: "Fork from here…", disabled: Boolean(step.no_fork) });
    row.append(fork);
    if (step.no_fork) row.append(make("span", { className: "dwarf-help", textContent: step.no_fork }));
    if (step.nested) {
      const unfold = make("button", { type: "button", className: "dwarf-act", textContent: step.nested });
      unfold.addEventListener("click", () => desk.ask({ do: "unfold", node: place.node, step: step.step })
        .then(() => load(), (fault) => { said.textContent = fault.message; }));
      row.append(unfold);
    }
    fork.addEventListener("click", () => {
      editing = true;
      const editor = forkEditor(step, desk, (reply) => {
        editing = false;
        editor.root.replaceWith(row);
        if (reply) tell(said, reply);
        fork.focus();
      });
      row.replaceWith(editor.root);
      editor.focus();
    });
    return row;
  };

  const shut = () => {
    const node = place?.node;
    place = null;
    editing = false;
    root.hidden = true;
    picture.choose(null);
    picture.focus(node);
    desk.send({ type: "panel", open: false });
  };
  close.addEventListener("click", shut);
  back.addEventListener("click", () => go({ node: place.node, page: place.page }));
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !isComposing(event)) shut();
  });

  return {
    root,
    open(path) {
      root.hidden = false;
      title.textContent = picture.name(path);
      mark.replaceChildren();
      back.hidden = true;
      body.replaceChildren();
      said.replaceChildren();
      picture.choose(path);
      desk.send({ type: "panel", open: true });
      seen = JSON.stringify(picture.view(path) ?? null);
      go({ node: path, page: 0 });
    },
    chosen: () => picture.choose(place?.node ?? null),
    // The node has changed: what is shown of it is asked for again, but never under the hands of who edits.
    refresh() {
      if (!place || editing) return;
      const own = picture.name(place.node);
      /** @type {Partial<import("./messages").SaidState>} */
      const said = model.get("said") ?? {};
      const spoken = [said.lines?.some((line) => line[0] === own) && said.count, said.streams?.filter((each) => each[0] === own), said.shown?.filter((each) => each.node === own).map((each) => each.at)];
      const now = JSON.stringify([picture.view(place.node) ?? null, Boolean((model.get("flow") ?? {}).ended), spoken]);
      if (now === seen) return;
      seen = now;
      if (timer) return; // whatever comes until then is read as well
      timer = setTimeout(() => { timer = 0; if (place && !editing) load(); }, 400);
    },
  };
}
