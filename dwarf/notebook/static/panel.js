// @ts-check
// The panel under the picture: the steps of a node, one step in full, and a fork of it with an edited state.
// Whatever is asked goes to the kernel as a message with a number, is checked there, and is answered under that number.

import { make, nextId } from "./dom.js";
import { saidParts } from "./said.js";
import { isComposing, isSending } from "./typing.js";

const BUSY_AFTER = 3000; // milliseconds

export function deskOf(model, life) {
  const waiting = new Map();
  let last = 0;
  return {
    send: life.send,
    receive(reply) {
      if (reply?.type !== "reply" || !waiting.has(reply.ask)) return;
      const { give, refuse } = waiting.get(reply.ask);
      waiting.delete(reply.ask);
      if (reply.fault) refuse(new Error(reply.fault));
      else give(reply);
    },
    ask(message) {
      const ask = ++last;
      return new Promise((give, refuse) => {
        waiting.set(ask, { give, refuse });
        life.send({ type: "ask", ask, ...message });
      });
    },
    pending: () => waiting.size > 0,
  };
}

// What has come of an action: words, and the call that finds the new run.
/**
 * @param {HTMLElement} box
 * @param {import("./messages").ActionReply} reply
 */
export function tell(box, reply) {
  box.classList.remove("dwarf-wrong");
  box.replaceChildren(reply.said ?? "");
  if (reply.find) box.append(" ", make("code", { textContent: reply.find }));
}

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

// The parameters of a step's function, and who wrote them.
function takesTable(rows) {
  const head = make("tr", {}, ...["parameter", "value", "written by"].map((name) => make("th", { textContent: name, scope: "col" })));
  const body = make("tbody", {}, ...rows.map(([name, value, by]) => make("tr", {}, make("th", { textContent: name, scope: "row" }), make("td", { textContent: value }), make("td", { textContent: by }))));
  return make("table", { className: "dwarf-takes" }, make("caption", { textContent: "What it took" }), make("thead", {}, head), body);
}

// The place where a text stops being JSON; browsers tell it each in their own way, or not at all.
function wrongAt(text) {
  let at = 0;
  const take = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at = pattern.lastIndex;
    return found !== null;
  };
  const need = (pattern) => { if (!take(pattern)) throw at; };
  const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
  const plain = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.])/y;
  const space = () => take(/[ \t\r\n]*/y);
  const rows = (item, close) => {
    space();
    if (take(close)) return;
    do { space(); item(); space(); } while (take(/,/y));
    need(close);
  };
  const value = () => {
    space();
    if (take(/\{/y)) rows(() => { need(string); space(); need(/:/y); value(); }, /\}/y);
    else if (take(/\[/y)) rows(value, /\]/y);
    else if (!take(string)) need(plain);
    space();
  };
  try {
    value();
    return at < text.length ? at : -1;
  } catch (place) {
    return typeof place === "number" ? place : -1;
  }
}

// What is wrong with the text of a state, in words; "" where it is an object.
function faultOf(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" && !Array.isArray(value) ? "" : "A state is an object: { … }";
  } catch (fault) {
    const place = wrongAt(text);
    if (place < 0) return `Not JSON: ${fault.message}`;
    if (place >= text.trimEnd().length) return "Not JSON: it ends too soon";
    const before = text.slice(0, place).split("\n");
    return `Not JSON: line ${before.length}, column ${before.at(-1).length + 1}, at ${JSON.stringify(text[place])}`;
  }
}

function changesOf(base, text, isWhole) {
  const [old, fresh] = [base ? JSON.parse(base) : {}, JSON.parse(text)];
  const words = [];
  for (const name of Object.keys(fresh)) {
    if (!(name in old) || !isWhole) words.push(`${name} ${name in old ? "changed" : "set"}`);
    else if (JSON.stringify(old[name]) !== JSON.stringify(fresh[name])) words.push(`${name} changed`);
  }
  if (isWhole) for (const name of Object.keys(old)) if (!(name in fresh)) words.push(`${name} removed`);
  return words.length ? words.join(", ") : "nothing changed: the same again";
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
  const text = make("textarea", { className: "dwarf-code", id, rows: Math.min(18, Math.max(6, step.input.split("\n").length + 1)), spellcheck: false, value: step.input || "{\n}", "aria-describedby": `${id}-said` });
  const said = make("div", { className: "dwarf-check", id: `${id}-said`, role: "status" });
  const go = make("button", { type: "button", textContent: "Start the fork", className: "dwarf-act dwarf-main" });
  const no = make("button", { type: "button", textContent: "Never mind", className: "dwarf-act" });
  let touched = false;
  const check = () => {
    const fault = faultOf(text.value);
    go.disabled = Boolean(fault);
    text.setAttribute("aria-invalid", String(Boolean(fault)));
    said.classList.toggle("dwarf-wrong", Boolean(fault));
    said.textContent = fault || changesOf(bases[mode.value], text.value, step.whole);
  };
  text.addEventListener("input", () => { touched = true; check(); });
  text.addEventListener("keydown", (event) => {
    if (isSending(event) && !go.disabled) { event.preventDefault(); go.click(); }
  });
  mode.addEventListener("change", () => { if (!touched) text.value = bases[mode.value] || "{\n}"; check(); });
  no.addEventListener("click", () => done());
  go.addEventListener("click", async () => {
    go.disabled = true;
    said.textContent = "…";
    try {
      done(await desk.ask({ do: "fork", step: step.step, at: mode.value, text: text.value, whole: step.whole }));
    } catch (fault) {
      said.classList.add("dwarf-wrong");
      said.textContent = fault.message;
      go.disabled = false;
    }
  });
  check();
  const label = step.whole ? "State (JSON); what you take out is removed" : "Changes (JSON); the state is too large to be shown whole";
  const root = make("div", { className: "dwarf-editor" }, make("label", { textContent: "Fork", for: mode.id }), mode,
    make("label", { textContent: label, for: id }), text, said, make("div", { className: "dwarf-line" }, go, no));
  return { root, focus: () => text.focus() };
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
    if (step.doc) parts.unshift(make("p", { className: "dwarf-help dwarf-doc", textContent: step.doc }));
    if (step.error) parts.push(make("pre", { className: "dwarf-trouble", textContent: step.error }));
    for (const text of step.warnings ?? []) parts.push(make("pre", { className: "dwarf-caution", textContent: text }));
    if (step.traceback) parts.push(fold("Traceback", step.traceback));
    parts.push(...saidParts(step, root.closest("[data-dwarf-dark='true']") !== null));
    if (step.takes?.length) parts.push(takesTable(step.takes));
    parts.push(diffTable(step.diff));
    parts.push(fold("State before", step.before));
    if (step.source) parts.push(fold(step.edited ? `Source (${step.edited})` : "Source", step.source));
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
