// @ts-check
// Cards that ask the reader. A card is built once for each question, so that a half-typed answer is never lost;
// what is shown comes in through textContent and properties only, so that names and payloads stay text.

import { pageIsDark } from "./dark.js";
import { make, nextId } from "./dom.js";
import { tableField } from "./grid.js";
import { displayOf, richText } from "./said.js";
import { isSending } from "./typing.js";

function localTime(text) {
  const moment = new Date(text);
  if (Number.isNaN(moment.getTime())) return "";
  return new Date(moment.getTime() - moment.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}

function choiceField(field) {
  const node = make("select", { className: "dwarf-input" });
  if (!field.required || field.value === null) node.append(make("option", { value: "", textContent: "" }));
  field.options.forEach(([label, value], place) => {
    const chosen = JSON.stringify(value) === JSON.stringify(field.value);
    node.append(make("option", { value: String(place), textContent: label, selected: chosen }));
  });
  return { node, read: () => (node.value === "" ? undefined : field.options[Number(node.value)][1]) };
}

function choicesField(field) {
  const taken = new Set((Array.isArray(field.value) ? field.value : []).map((value) => JSON.stringify(value)));
  const node = make("div", { className: "dwarf-choices", role: "group", "aria-label": field.label });
  const boxes = field.options.map(([label, value]) => {
    const box = make("input", { type: "checkbox", checked: taken.has(JSON.stringify(value)) });
    node.append(make("label", {}, box, " " + label));
    return [box, value];
  });
  return { node, read: () => boxes.filter(([box]) => box.checked).map(([, value]) => value) };
}

function numberField(field) {
  const whole = field.kind === "integer";
  const input = make("input", { type: "number", className: "dwarf-input", step: whole ? "1" : "any", value: field.value ?? "" });
  if (field.min !== null) input.min = field.min;
  if (field.max !== null) input.max = field.max;
  const read = () => (input.value === "" ? undefined : Number(input.value));
  if (field.min === null || field.max === null || !(field.max > field.min)) return { node: input, read };
  const slider = make("input", {
    type: "range", min: field.min, max: field.max, step: whole ? "1" : String((field.max - field.min) / 100),
    value: field.value ?? field.min, tabIndex: -1, "aria-hidden": "true",
  });
  slider.addEventListener("input", () => { input.value = slider.value; });
  input.addEventListener("input", () => { if (input.value !== "") slider.value = input.value; });
  const range = make("span", { className: "dwarf-range", textContent: `${field.min} to ${field.max}` });
  return { node: make("span", { className: "dwarf-number" }, input, slider, range), read, main: input };
}

function areaField(field) {
  const code = field.kind === "json";
  const node = make("textarea", { className: "dwarf-input", rows: 3, value: field.value ?? "", spellcheck: !code });
  const read = () => {
    const text = node.value;
    if (text.trim() === "") return code || !field.required ? undefined : text;
    if (code) {
      try { return JSON.parse(text); } catch (fault) { throw new Error(`${field.label || "the answer"} is not JSON: ${fault.message}`); }
    }
    return text;
  };
  return { node, read };
}

function freeField(field) {
  const { node } = areaField({ ...field, kind: "area" });
  const read = () => {
    const text = node.value.trim();
    if (text === "") return undefined;
    try { return JSON.parse(text); } catch { return node.value; }
  };
  return { node, read };
}

const INPUT_TYPES = { date: "date", time: "time", datetime: "datetime-local", email: "email", url: "url", password: "password" };

function inputField(field) {
  const node = make("input", { type: INPUT_TYPES[field.kind] ?? "text", className: "dwarf-input" });
  if (field.kind === "password") node.autocomplete = "off";
  else node.value = field.kind === "datetime" && field.value ? localTime(field.value) : field.value ?? "";
  if (field.length) node.maxLength = field.length;
  if (field.pattern) node.pattern = `.*(?:${field.pattern}).*`;
  const read = () => {
    if (node.value === "") return field.required && field.kind === "text" ? "" : undefined;
    if (field.kind === "datetime") return new Date(node.value).toISOString();
    return field.kind === "time" && node.value.length === 5 ? node.value + ":00" : node.value;
  };
  return { node, read };
}

function checkField(field) {
  const node = make("input", { type: "checkbox", checked: Boolean(field.value) });
  return { node, read: () => node.checked };
}

const MOST_BYTES = 8_000_000; // of a file, which goes through the kernel's connection as text

function fileField(field) {
  const node = make("input", { type: "file", className: "dwarf-input", accept: field.accept || undefined });
  let held;
  node.addEventListener("change", () => {
    held = undefined;
    const file = node.files[0];
    node.setCustomValidity("");
    if (!file) return;
    if (file.size > MOST_BYTES) {
      node.setCustomValidity(`The file is larger than ${MOST_BYTES / 1_000_000} MB.`);
      node.reportValidity();
      return;
    }
    node.setCustomValidity("The file is still being read.");
    const reader = new FileReader();
    reader.onload = () => {
      const read = String(reader.result);
      held = field.url ? read : read.slice(read.indexOf(",") + 1);
      node.setCustomValidity("");
    };
    reader.onerror = () => node.setCustomValidity("The file cannot be read.");
    reader.readAsDataURL(file);
  });
  return { node, read: () => (node.files.length ? held : undefined) };
}

// The fields of an object inside the form.
function groupField(field) {
  const { rows, inputs } = buildFields({ fields: field.fields });
  const node = make("div", { className: "dwarf-group", role: "group", "aria-label": field.label }, ...rows);
  const read = () => {
    const value = readAll(inputs);
    const empty = Object.values(value).every((part) => part === null || part === "" || part === false || (Array.isArray(part) && !part.length));
    return empty && !field.required ? undefined : value;
  };
  return { node, read, main: node, wide: true };
}

function withValue(field, value) {
  if (field.kind !== "group") return { ...field, value: value ?? field.value };
  return { ...field, fields: field.fields.map((each) => withValue(each, value?.[each.name])) };
}

// As many values of one kind as the reader wants.
function listField(field) {
  const box = make("div", { className: "dwarf-items" });
  const add = make("button", { type: "button", className: "dwarf-button dwarf-small", textContent: "Add", "aria-label": `Add to ${field.label}` });
  const node = make("div", { className: "dwarf-list", role: "group", "aria-label": field.label }, box, add);
  const items = [];
  const renew = () => {
    items.forEach((item, place) => {
      if (item.field.kind !== "group") (item.main ?? item.node).setAttribute("aria-label", `${field.label} ${place + 1}`);
      item.remove.setAttribute("aria-label", `Remove ${field.label} ${place + 1}`);
      item.remove.hidden = items.length <= field.least;
    });
    add.hidden = field.most != null && items.length >= field.most;
  };
  const append = (value) => {
    const wanted = withValue({ ...field.item, label: "", help: "" }, value);
    /** @type {any} */
    const item = { field: wanted, ...fieldFor(wanted), remove: make("button", { type: "button", className: "dwarf-button dwarf-small", textContent: "×" }) };
    const target = item.main ?? item.node;
    if (wanted.kind !== "group") target.required = !["boolean", "choices", "json"].includes(wanted.kind);
    item.row = make("div", { className: "dwarf-item" }, item.node, item.remove);
    item.remove.addEventListener("click", () => {
      items.splice(items.indexOf(item), 1);
      item.row.remove();
      renew();
      add.focus();
    });
    items.push(item);
    box.append(item.row);
    renew();
    return item;
  };
  field.value.forEach(append);
  while (items.length < field.least) append();
  add.addEventListener("click", () => {
    const item = append();
    (item.node.querySelector?.("input, select, textarea") ?? item.main ?? item.node).focus();
  });
  renew();
  const read = () => {
    if (!items.length && !field.required) return field.nullable ? undefined : [];
    return items.map((item) => item.read()).filter((value) => value !== undefined);
  };
  return { node, read, main: node, wide: true };
}

function fieldFor(field) {
  if (field.kind === "group") return groupField(field);
  if (field.kind === "list") return listField(field);
  if (field.kind === "table") return tableField(field);
  if (field.kind === "file") return fileField(field);
  if (field.kind === "choice") return choiceField(field);
  if (field.kind === "choices") return choicesField(field);
  if (field.kind === "boolean") return checkField(field);
  if (field.kind === "integer" || field.kind === "number") return numberField(field);
  if (field.kind === "area" || field.kind === "json") return areaField(field);
  if (field.kind === "free") return freeField(field);
  return inputField(field);
}

function answerOf(form, inputs, fallback) {
  if (!inputs.length) return fallback;
  if (form.single) {
    const value = inputs[0].read();
    // an empty answer is null; where anything may be said, nothing is no answer's data at all
    return value === undefined && form.fields[0].kind !== "free" ? null : value;
  }
  return readAll(inputs);
}

function readAll(inputs) {
  const answer = {};
  for (const input of inputs) {
    const value = input.read();
    if (value !== undefined) answer[input.field.name] = value;
    else if (input.field.nullable) answer[input.field.name] = null;
  }
  return answer;
}

function buildFields(form) {
  const rows = [];
  const inputs = form.fields.map((field) => {
    /** @type {any} */
    const input = { field, ...fieldFor(field) };
    const target = input.main ?? input.node;
    target.id = nextId("field");
    const grouped = ["group", "list", "choices", "table"].includes(field.kind);
    if (!grouped) target.required = field.required && !["boolean", "free"].includes(field.kind);
    const label = make(grouped ? "span" : "label", { textContent: field.label, for: grouped ? undefined : target.id, className: "dwarf-label" });
    const side = make("div", { className: "dwarf-value" }, input.node);
    if (field.help) {
      const help = make("div", { className: "dwarf-help", textContent: field.help, id: target.id + "-help" });
      target.setAttribute("aria-describedby", help.id);
      side.append(help);
    }
    if (!field.label && field.kind !== "table") target.setAttribute("aria-label", "answer");
    markNeed(field, label, side);
    rows.push(make("div", { className: field.label && field.kind !== "group" ? "dwarf-row" : "dwarf-row dwarf-wide" }, ...(field.label ? [label] : []), side));
    return input;
  });
  return { rows, inputs };
}

// Whether a field has to be filled is said beside its label: in the style sheet, so that the label's text stays its name.
function markNeed(field, label, side) {
  if (field.kind === "boolean" || field.kind === "choices" || (field.kind === "list" && !field.least && field.required)) return;
  if (field.label) label.dataset.need = field.required ? "*" : "optional";
  else if (field.nullable) side.append(make("div", { className: "dwarf-help", textContent: "may be left empty" }));
}

// ---- what a question tells besides: texts whole, JSON as a tree, lists of mappings as tables

const FOLDED_LINES = 12;
const FOLDED_ROWS = 12;
const OPEN_LEAVES = 30;

function foldButton(toggle) {
  const button = make("button", { type: "button", className: "dwarf-button dwarf-small dwarf-more", textContent: "Show all", "aria-expanded": "false" });
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    button.textContent = open ? "Show less" : "Show all";
    toggle(open);
  });
  return button;
}

export function lineCount(text) {
  return text.split("\n").reduce((count, line) => count + 1 + Math.floor(line.length / 90), 0);
}

function textFact(text, name) {
  const node = make("div", { className: "dwarf-fact", textContent: text });
  if (lineCount(text) <= FOLDED_LINES + 2) return { node, wide: lineCount(text) > 2 };
  node.classList.add("dwarf-folded");
  const button = foldButton((open) => node.classList.toggle("dwarf-folded", !open));
  if (name) button.setAttribute("aria-label", `Show all of ${name}`);
  return { node: make("div", {}, node, button), wide: true };
}

function leafCount(value) {
  if (value === null || typeof value !== "object") return 1;
  return Object.values(value).reduce((count, part) => count + leafCount(part), 0);
}

function branchOf(name, value, open) {
  const key = make("span", { className: "dwarf-key", textContent: name });
  if (value === null || typeof value !== "object" || !Object.keys(value).length) {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return make("div", { className: "dwarf-leaf" }, key, make("span", { className: typeof value === "string" ? "" : "dwarf-literal", textContent: text }));
  }
  const count = Object.keys(value).length;
  const kind = Array.isArray(value) ? "item" : "field";
  const told = make("span", { className: "dwarf-help", textContent: `${count} ${kind}${count === 1 ? "" : "s"}` });
  return make("details", { className: "dwarf-branch", open }, make("summary", {}, key, told), ...branchesOf(value, open && leafCount(value) <= OPEN_LEAVES));
}

function branchesOf(value, open) {
  return Object.entries(value).map(([name, part]) => branchOf(Array.isArray(value) ? String(Number(name) + 1) : name, part, open));
}

function treeFact(value) {
  return { node: make("div", { className: "dwarf-tree" }, ...branchesOf(value, leafCount(value) <= OPEN_LEAVES)), wide: true };
}

function tableFact(fact) {
  const numeric = fact.columns.map((_, at) => fact.rows.every((row) => row[at] === "" || /^-?[0-9][0-9.,]*(e[+-]?[0-9]+)?$/.test(row[at])));
  const cell = (text, at, tag = "td") => make(tag, { textContent: text, className: numeric[at] ? "dwarf-number-cell" : "" });
  const row = (cells) => make("tr", {}, ...cells.map((text, at) => cell(text, at)));
  const head = make("thead", {}, make("tr", {}, ...fact.columns.map((name, at) => cell(name, at, "th"))));
  const body = make("tbody", {}, ...fact.rows.slice(0, FOLDED_ROWS).map(row));
  const node = make("div", {}, make("div", { className: "dwarf-scroll", tabIndex: 0, role: "region", "aria-label": fact.name || "table" }, make("table", { className: "dwarf-table" }, head, body)));
  if (fact.rows.length > FOLDED_ROWS) {
    const rest = fact.rows.slice(FOLDED_ROWS).map(row);
    const button = foldButton((open) => { if (open) body.append(...rest); else rest.forEach((each) => each.remove()); });
    button.setAttribute("aria-label", `Show all rows of ${fact.name || "the table"}`);
    node.append(make("span", { className: "dwarf-help", textContent: `${fact.rows.length} rows ` }), button);
  }
  return { node, wide: true };
}

// Lines of a difference, each with its sign.
function changeFact(fact) {
  const kinds = { "+": "added", "-": "removed", "@": "place" };
  const lines = fact.lines.map(([sign, text]) => make("div", { className: `dwarf-change dwarf-change-${kinds[sign] ?? "same"}`, textContent: sign === "@" ? "…" : `${sign === "-" ? "−" : sign} ${text}` }));
  if (!lines.length) lines.push(make("div", { className: "dwarf-help", textContent: "nothing has changed" }));
  return { node: make("div", { className: "dwarf-changes", tabIndex: 0, role: "region", "aria-label": `changes of ${fact.name || "the value"}` }, ...lines), wide: true };
}

function shownFact(fact) {
  if (fact.kind === "rich") return { node: make("div", {}, richText(fact.html)), wide: true };
  if (fact.kind === "view") return { node: make("div", {}, displayOf(fact.view, fact.name || "display", pageIsDark())), wide: true };
  const side = (name, view) => make("figure", { className: "dwarf-figure" }, make("figcaption", { textContent: name }), displayOf(view, name, pageIsDark()));
  return { node: make("div", { className: "dwarf-figures" }, side("before", fact.before), side("after", fact.after)), wide: true };
}

export function factOf(fact) {
  if (fact.kind === "tree") return treeFact(fact.value);
  if (fact.kind === "table") return tableFact(fact);
  if (fact.kind === "change") return changeFact(fact);
  if (["rich", "view", "pair"].includes(fact.kind)) return shownFact(fact);
  return textFact(fact.text, fact.name);
}

function buildFacts(facts) {
  const box = make("div", { className: "dwarf-context" });
  for (const fact of facts) {
    const made = factOf(fact);
    const wide = made.wide || !fact.name ? " dwarf-about" : "";
    if (fact.name) box.append(make("div", { textContent: fact.name, className: "dwarf-name" + wide }));
    if (fact.more) made.node.append(make("div", { className: "dwarf-help", textContent: fact.more }));
    made.node.className += wide;
    box.append(made.node);
  }
  return box;
}

/**
 * One card. `send` hands an answer over; `update` shows what has become of it.
 *
 * @param {import("./messages").CardState} prompt
 * @param {(value: any) => void} send
 */
function buildCard(prompt, send) {
  const id = nextId("card");
  const root = make("section", { className: `dwarf-card${prompt.stop ? " dwarf-stop" : ""}`, role: "group", "aria-labelledby": id });
  const title = make("div", { className: "dwarf-question", textContent: prompt.title, id });
  const where = make("span", { className: "dwarf-where", textContent: prompt.node });
  const clock = make("span", { className: "dwarf-clock" });
  const context = buildFacts(prompt.facts);
  const form = make("form", { noValidate: false });
  const { rows, inputs } = buildFields(prompt.form);
  const error = make("div", { className: "dwarf-error", role: "alert" });
  const wait = make("div", { className: "dwarf-wait" });
  let timer = 0;
  let busy = false;
  let given = false; // by the reader, on this very card
  const setBusy = (value) => {
    busy = value;
    buttons.forEach((button) => { button.disabled = value; });
    clearTimeout(timer);
    wait.textContent = "";
    if (value) timer = setTimeout(() => { wait.textContent = "The kernel is busy: the answer goes in when it is free."; }, 3000);
  };
  const give = (fallback) => {
    if (busy || (inputs.length && !form.reportValidity())) return;
    error.textContent = "";
    let answer;
    try { answer = answerOf(prompt.form, inputs, fallback); } catch (fault) { error.textContent = fault.message; return; }
    setBusy(true);
    given = true;
    send(answer);
  };
  const buttons = prompt.form.buttons.map(([label, value, style], place) => {
    const kind = inputs.length && place === 0 ? "submit" : "button";
    const button = make("button", { type: kind, textContent: label, className: `dwarf-button ${style ? "dwarf-" + style : ""}` });
    if (kind === "button") button.addEventListener("click", () => give(value));
    return button;
  });
  form.addEventListener("submit", (event) => { event.preventDefault(); give(null); });
  form.addEventListener("keydown", (event) => {
    // JupyterLab keeps a browser from submitting a form by the Enter key, so it is done here
    if (inputs.length && isSending(event)) { event.preventDefault(); give(null); }
  });
  form.append(...rows, make("div", { className: "dwarf-buttons" }, ...buttons, wait), error);
  const head = make("div", { className: "dwarf-head" }, title, where, clock);
  root.append(head, ...(context.childElementCount ? [context] : []), form);
  let seen = 0;
  return {
    root,
    release() { if (busy) setBusy(false); },
    clock(now) {
      const since = prompt.since ? `waits ${shortTime(now - prompt.since)}` : "";
      const left = prompt.deadline ? `${shortTime(Math.max(prompt.deadline - now, 0))} left` : "";
      clock.textContent = [since, left].filter(Boolean).join(" · ");
    },
    update(fresh) {
      if (fresh.faults !== seen) {
        seen = fresh.faults;
        setBusy(false);
        error.textContent = fresh.error;
        (inputs[0]?.main ?? inputs[0]?.node)?.focus?.();
      }
      if (fresh.closed) {
        clearTimeout(timer);
        root.classList.add("dwarf-closed");
        root.replaceChildren(make("span", { className: "dwarf-mark", textContent: "✔", "aria-hidden": "true" }), title,
          make("span", { className: "dwarf-answer", textContent: fresh.closed }));
        if (given) root.dispatchEvent(new CustomEvent("dwarf-closed", { bubbles: true }));
        given = false;
      }
    },
  };
}

// Keeps the cards in `box` in step with the list of prompts. `special` may build another card for a prompt, or give null.
export function cardKeeper(box, send, special = (_) => null) {
  const cards = new Map();
  return {
    show(prompts) {
      for (const prompt of prompts) {
        if (!cards.has(prompt.id)) {
          const card = special(prompt)
            ?? buildCard(prompt, (value) => send({ type: "answer", id: prompt.id, value }));
          cards.set(prompt.id, card);
          box.append(card.root);
        }
        cards.get(prompt.id).update(prompt);
      }
      const known = new Set(prompts.map((prompt) => prompt.id));
      for (const [id, card] of cards) {
        if (!known.has(id)) { card.root.remove(); cards.delete(id); }
      }
    },
    tick(now) { cards.forEach((card) => card.clock(now)); },
    // What was sent may be lost: an answer can be given again.
    release() { cards.forEach((card) => card.release()); },
  };
}

// A button that acts only at the second click; the first one says what the second will do.
export function askTwice(button, label, sure, act) {
  let timer = 0;
  const calm = () => {
    clearTimeout(timer);
    timer = 0;
    button.classList.remove("dwarf-sure");
    button.textContent = label;
  };
  button.addEventListener("click", () => {
    if (timer) {
      calm();
      act();
      return;
    }
    button.classList.add("dwarf-sure");
    button.textContent = sure;
    timer = setTimeout(calm, 5000);
  });
  button.addEventListener("blur", calm);
  button.addEventListener("keydown", (event) => { if (event.key === "Escape") calm(); });
}

// As seconds_text in words.py.
export function shortTime(seconds) {
  const value = Math.max(seconds, 0);
  if (value < 0.9995) return `${Math.round(value * 1000)} ms`;
  if (value < 99.95) return `${value.toFixed(1)} s`;
  if (value < 5400) return `${(value / 60).toFixed(1)} min`;
  return value < 129600 ? `${(value / 3600).toFixed(1)} h` : `${(value / 86400).toFixed(1)} d`;
}
