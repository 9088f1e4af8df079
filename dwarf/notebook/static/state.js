// @ts-check
// A state that is edited in place: each value with its type, fields and items added and removed; or as JSON.

import { lineCount } from "./card.js";
import { make, nextId } from "./dom.js";
import { isNumber, readJson, valueOf, writeJson } from "./json.js";
import { isComposing } from "./typing.js";

const KINDS = { text: "text", number: "number", truth: "true or false", null: "nothing", list: "list", fields: "fields" };
const MOST_OPEN = 40; // values of a part that stands open at first
const STEP_OF_ROWS = 100;
const MOST_LINES = 12;
let editsJson = false; // what the reader has chosen last

function sizeOf(value) {
  return 1 + (value.kind === "tag" ? 0 : value.items.reduce((sum, each) => sum + sizeOf(each.value), 0));
}

// A value as another type, with as much of it as that type can hold.
function turned(value, kind) {
  const flat = !["list", "fields"].includes(value.kind);
  if (kind === "text") return valueOf(kind, flat && value.kind !== "null" ? value.text : "");
  if (kind === "number") return valueOf(kind, isNumber(value.text.trim()) ? value.text.trim() : "0");
  if (kind === "truth") return valueOf(kind, value.text === "true" ? "true" : "false");
  if (kind === "list") return valueOf(kind, "", value.kind === "fields" ? value.items.map((each) => ({ name: "", value: each.value })) : []);
  if (kind === "fields") return valueOf(kind, "", value.kind === "list" ? value.items.map((each, place) => ({ name: String(place + 1), value: each.value })) : []);
  return valueOf(kind);
}

// What is wrong with a value, in words; "" where nothing is.
function faultIn(value, name = "") {
  if (value.kind === "number" && !isNumber(value.text)) return `${name} is not a number: ${JSON.stringify(value.text)}`;
  if (value.kind === "tag") return "";
  const known = new Set();
  for (const [place, each] of value.items.entries()) {
    const own = value.kind === "list" ? `${name} ${place + 1}` : name ? `${name}.${each.name}` : each.name;
    if (value.kind === "fields") {
      if (!each.name) return "A field has no name yet";
      if (known.has(each.name)) return `Two fields are named ${JSON.stringify(own)}`;
      known.add(each.name);
    }
    const fault = faultIn(each.value, own);
    if (fault) return fault;
  }
  return "";
}

// What has been changed in a state, in words.
function changesOf(base, fresh, isWhole) {
  const old = new Map((base?.items ?? []).map((each) => [each.name, writeJson(each.value)]));
  const names = new Set(fresh.items.map((each) => each.name));
  const words = [];
  for (const { name, value } of fresh.items) {
    if (!old.has(name) || !isWhole) words.push(`${name} ${old.has(name) ? "changed" : "set"}`);
    else if (old.get(name) !== writeJson(value)) words.push(`${name} changed`);
  }
  if (isWhole) for (const name of old.keys()) if (!names.has(name)) words.push(`${name} removed`);
  return words.join(", ");
}

// The editor of a state. `told` gets what is wrong with it, or what has been changed, after every change; `send` is
// called for Ctrl and Enter. `isWhole`: the text is all of the state, and not only changes to it.
export function stateEditor({ text, isWhole, label, told, send }) {
  const id = nextId("state");
  const rows = make("div", { className: "dwarf-edit", role: "group", "aria-label": label });
  const code = make("textarea", { className: "dwarf-code", id, spellcheck: false, "aria-label": label, "aria-describedby": `${id}-said`, hidden: true });
  const said = make("div", { className: "dwarf-check", id: `${id}-said`, role: "status" });
  const undo = make("button", { type: "button", className: "dwarf-act dwarf-zoom", textContent: "Undo", hidden: true });
  const ways = ["Fields", "JSON"].map((name) => make("button", { type: "button", className: "dwarf-act dwarf-zoom", textContent: name }));
  const bar = make("div", { className: "dwarf-line", role: "group", "aria-label": "how to edit" }, make("span", { className: "dwarf-edit-label", textContent: label }), ...ways, undo);
  const root = make("div", { className: "dwarf-state-editor" }, bar, rows, code, said);
  let base = null;
  let tree = valueOf("fields");
  let asJson = false;
  let touched = false;
  let fault = "";
  const past = [];

  const check = () => {
    if (asJson) {
      const read = readJson(code.value);
      fault = read.fault || (read.value.kind === "fields" ? "" : "A state is an object: { … }");
      if (!fault) tree = read.value;
      code.setAttribute("aria-invalid", String(Boolean(fault)));
    } else fault = faultIn(tree);
    const changes = fault ? "" : changesOf(base, tree, isWhole);
    said.classList.toggle("dwarf-wrong", Boolean(fault));
    said.textContent = fault || changes || "nothing changed";
    undo.hidden = asJson || !past.length;
    told({ fault, changes });
  };
  const edited = () => { touched = true; check(); };
  const keep = () => { past.push(writeJson(tree)); if (past.length > 100) past.shift(); };
  const draw = () => {
    rows.replaceChildren(...partsOf(tree, "", true));
    code.value = writeJson(tree);
    code.rows = Math.min(18, Math.max(6, code.value.split("\n").length + 1));
  };
  const show = () => {
    rows.hidden = asJson;
    code.hidden = !asJson;
    ways.forEach((way, place) => way.setAttribute("aria-pressed", String(asJson === (place === 1))));
    check();
  };

  // Rows of an object or a list, and the button that adds one.
  const partsOf = (value, path, first = false) => {
    const box = make("div", { className: "dwarf-edit-rows" });
    const isList = value.kind === "list";
    const named = (each, place) => (isList ? `${path} ${place + 1}` : path ? `${path}.${each.name}` : each.name);
    const fill = (from) => {
      const shown = value.items.slice(from, from + STEP_OF_ROWS);
      box.append(...shown.map((each, place) => rowOf(value, each, named(each, from + place), isList ? String(from + place + 1) : null)));
      const rest = value.items.length - from - shown.length;
      if (rest > 0) {
        const more = make("button", { type: "button", className: "dwarf-act dwarf-zoom", textContent: `Show ${Math.min(rest, STEP_OF_ROWS)} more of ${rest}` });
        more.addEventListener("click", () => { more.remove(); fill(from + shown.length); });
        box.append(more);
      }
    };
    fill(0);
    const add = make("button", { type: "button", className: "dwarf-act dwarf-zoom dwarf-edit-add", textContent: isList ? "Add an item" : "Add a field", "aria-label": `${isList ? "Add an item" : "Add a field"}${first ? "" : ` to ${path}`}` });
    add.addEventListener("click", () => {
      keep();
      const like = isList && value.items.length ? value.items.at(-1).value : valueOf("text");
      const part = { name: "", value: valueOf(like.kind === "tag" ? "text" : like.kind, like.kind === "number" ? "0" : like.kind === "truth" ? "false" : ""), fresh: true };
      value.items.push(part);
      const row = rowOf(value, part, named(part, value.items.length - 1), isList ? String(value.items.length) : null);
      box.append(row);
      row.querySelector("input.dwarf-edit-name, .dwarf-edit-value")?.focus();
      edited();
    });
    return [box, add];
  };

  const rowOf = (parent, each, path, number) => {
    const row = make("div", { className: "dwarf-edit-row" });
    const known = parent === tree ? base?.items.find((one) => one.name === each.name) : each.fresh ? null : each;
    const original = known ? writeJson(known.value) : null;
    const mark = () => row.classList.toggle("dwarf-edited", original !== writeJson(each.value));
    row.addEventListener("input", () => { mark(); });
    const build = (focus = false) => {
      const { value } = each;
      const nested = value.kind === "list" || value.kind === "fields";
      const name = each.fresh && number === null
        ? make("input", { className: "dwarf-input dwarf-edit-name", value: each.name, placeholder: "name", "aria-label": `name of the new field` })
        : make("span", { className: "dwarf-edit-name", textContent: number ?? each.name });
      if (each.fresh && number === null) name.addEventListener("input", () => { each.name = name.value; edited(); });
      const label = () => (each.fresh && number === null ? each.name || "the new field" : path);
      const kind = value.kind === "tag" ? make("span", { className: "dwarf-help", textContent: tagOf(value).kind })
        : make("select", { className: "dwarf-input dwarf-edit-kind", "aria-label": `type of ${label()}` }, ...Object.entries(KINDS).map(([key, word]) => make("option", { value: key, textContent: word, selected: key === value.kind })));
      if (value.kind !== "tag") kind.addEventListener("change", () => {
        keep();
        each.value = turned(value, kind.value);
        build(true);
        mark();
        edited();
      });
      const drop = make("button", { type: "button", className: "dwarf-act dwarf-quiet dwarf-edit-drop", textContent: "×", "aria-label": `remove ${label()}`, title: "remove" });
      drop.addEventListener("click", () => {
        keep();
        parent.items.splice(parent.items.indexOf(each), 1);
        const next = row.nextElementSibling ?? row.previousElementSibling ?? row.parentElement.nextElementSibling;
        if (number !== null) { draw(); undo.hidden = false; undo.focus(); }
        else {
          row.remove();
          (next?.querySelector?.(":scope > .dwarf-edit-line > .dwarf-edit-drop") ?? next)?.focus?.();
        }
        edited();
      });
      const control = nested ? foldOf(value, label()) : controlOf(each, label(), mark);
      const line = make("div", { className: "dwarf-edit-line" }, name, kind, control.head, drop);
      row.replaceChildren(line, ...(control.below ? [control.below] : []));
      mark();
      if (focus) (row.querySelector(".dwarf-edit-value") ?? kind).focus();
    };
    build();
    return row;
  };

  const foldOf = (value, path) => {
    const below = make("div", { className: "dwarf-edit-inner", hidden: true });
    const words = () => `${value.items.length} ${value.kind === "list" ? "item" : "field"}${value.items.length === 1 ? "" : "s"}`;
    const head = make("button", { type: "button", className: "dwarf-act dwarf-quiet dwarf-edit-value dwarf-edit-fold" });
    const set = (open) => {
      if (open && !below.childElementCount) below.append(...partsOf(value, path));
      below.hidden = !open;
      head.setAttribute("aria-expanded", String(open));
      head.textContent = `${open ? "▾" : "▸"} ${words()}`;
      head.setAttribute("aria-label", `${path}: ${words()}`);
    };
    head.addEventListener("click", () => set(below.hidden));
    set(sizeOf(value) <= MOST_OPEN);
    return { head, below };
  };

  const controlOf = (each, path, mark) => {
    const { value } = each;
    const named = { className: "dwarf-input dwarf-edit-value", "aria-label": path };
    if (value.kind === "null") return { head: make("span", { className: "dwarf-help dwarf-edit-value", textContent: "nothing" }) };
    if (value.kind === "truth") {
      const node = make("input", { type: "checkbox", checked: value.text === "true", "aria-label": path, className: "dwarf-edit-value" });
      node.addEventListener("change", () => { value.text = String(node.checked); mark(); edited(); });
      return { head: make("span", { className: "dwarf-edit-truth" }, node) };
    }
    if (value.kind === "number") {
      const node = make("input", { ...named, type: "text", inputMode: "decimal", value: value.text, spellcheck: false });
      node.addEventListener("input", () => { value.text = node.value.trim(); node.setAttribute("aria-invalid", String(!isNumber(value.text))); edited(); });
      return { head: node };
    }
    const tag = value.kind === "tag" ? tagOf(value) : null;
    if (tag && !tag.part) return { head: make("span", { className: "dwarf-help dwarf-edit-value", textContent: "kept as it is" }) };
    const held = tag ? tag.part.value : value;
    const node = make("textarea", { ...named, value: held.text, spellcheck: false });
    const grow = () => { node.rows = Math.min(MOST_LINES, lineCount(node.value)); };
    node.addEventListener("input", () => {
      held.text = node.value;
      if (tag) value.text = writeJson(valueOf("fields", "", value.items));
      grow();
      edited();
    });
    grow();
    return { head: node };
  };

  // What a tagged value is, and its part that is a short text, as that of a date.
  const tagOf = (value) => {
    const kind = value.items.find((each) => each.name === "$dwarf");
    const rest = value.items.filter((each) => each !== kind);
    const short = rest.length === 1 && rest[0].value.kind === "text" && rest[0].value.text.length < 200;
    return { kind: kind.value.text, part: short ? rest[0] : null };
  };

  const reset = (fresh) => {
    base = readJson(fresh || "{}").value;
    tree = readJson(fresh || "{}").value ?? valueOf("fields");
    past.length = 0;
    touched = false;
    asJson = editsJson;
    draw();
    show();
  };
  ways.forEach((way, place) => way.addEventListener("click", () => {
    const wanted = place === 1;
    if (wanted === asJson || (asJson && fault)) { if (asJson && fault) code.focus(); return; }
    editsJson = asJson = wanted;
    draw();
    show();
  }));
  undo.addEventListener("click", () => {
    tree = readJson(past.pop()).value;
    draw();
    check();
    if (undo.hidden) ways[0].focus();
  });
  code.addEventListener("input", edited);
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || isComposing(event)) return;
    event.preventDefault();
    event.stopPropagation();
    if (!fault) send();
  });
  reset(text);
  return {
    root,
    reset,
    text: () => (asJson ? code.value : writeJson(tree)),
    isTouched: () => touched,
    focus: () => (asJson ? code : rows.querySelector(".dwarf-edit-value, .dwarf-edit-add"))?.focus(),
  };
}
