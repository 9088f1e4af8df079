// @ts-check
// A table to edit, as a field of a card. Only the rows in sight are in the page, so that thousands of them cost nothing;
// each cell is checked for its type as it is entered, and what does not fit is marked and not sent.

import { make, nextId } from "./dom.js";
import { isComposing } from "./typing.js";

const ROW_HEIGHT = 26; // pixels, as in run.css
const ROWS_IN_SIGHT = 12;
const MARGIN = 6; // rows above and below that are in the page as well

const MOMENT = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/;

// The value that a text stands for in a column: { value }, or { why } it is none.
export function readCell(column, text) {
  const bare = text.trim();
  if (bare === "" && column.kind !== "text") return column.nullable ? { value: null } : { why: "a value is needed" };
  if (column.kind === "text") return { value: text };
  if (column.kind === "boolean") {
    if (/^(true|yes|1|x|✓)$/i.test(bare)) return { value: true };
    return /^(false|no|0|✗)$/i.test(bare) ? { value: false } : { why: "true or false is needed" };
  }
  if (column.kind === "integer") {
    const value = Number(bare);
    return /^[-+]?\d+$/.test(bare) && Number.isSafeInteger(value) ? { value } : { why: "a whole number is needed" };
  }
  if (column.kind === "number") {
    const value = Number(bare);
    return Number.isFinite(value) ? { value } : { why: "a number is needed" };
  }
  if (column.kind === "datetime") return MOMENT.test(bare) ? { value: bare } : { why: "a date such as 2024-05-01 is needed" };
  if (column.kind === "choice") {
    const found = column.options.find((option) => String(option) === bare);
    return found === undefined ? { why: `one of ${column.options.slice(0, 8).join(", ")} is needed` } : { value: found };
  }
  try { return { value: JSON.parse(bare) }; } catch { return { value: text }; }
}

function cellText(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

export function tableField(field) {
  const columns = field.columns;
  const rows = field.rows.map((cells) => ({ cells: [...cells], faults: {} }));
  const before = field.rows;
  const done = [];
  const undone = [];
  const id = nextId("grid");
  let at = { row: 0, column: Math.max(0, columns.findIndex((column) => column.editable)) };
  let editing = null;
  let drawn = "";

  const widths = columns.map((column, place) => {
    const longest = before.slice(0, 200).reduce((most, cells) => Math.max(most, cellText(cells[place]).length), column.name.length + 2);
    return Math.min(Math.max(longest * 7.5 + 22, 64), 260);
  });
  const template = `52px ${widths.map((width) => `${width}px`).join(" ")}`;
  const head = make("div", { className: "dwarf-grid-row dwarf-grid-head", role: "row" }, make("div", { className: "dwarf-grid-cell", role: "columnheader", "aria-label": "number" }),
    ...columns.map((column) => make("div", { className: "dwarf-grid-cell", role: "columnheader", textContent: column.name, title: `${column.name}: ${column.kind}${column.editable ? "" : ", cannot be changed"}` })));
  head.style.gridTemplateColumns = template;
  const body = make("div", { className: "dwarf-grid-body" });
  const view = make("div", { className: "dwarf-grid", tabIndex: 0, role: "grid", id, "aria-label": "table to edit", "aria-colcount": columns.length + 1 }, head, body);
  const tell = make("span", { className: "dwarf-help", role: "status" });
  const act = (label, call) => {
    const button = make("button", { type: "button", className: "dwarf-button dwarf-small", textContent: label });
    button.addEventListener("click", () => { commit(); call(); view.focus(); });
    return button;
  };
  const undoButton = act("Undo", () => step(done, undone, "undo"));
  const redoButton = act("Redo", () => step(undone, done, "redo"));
  const tools = make("div", { className: "dwarf-grid-tools" });
  if (field.adds) tools.append(act("Add a row", () => addRow(rows.length)), act("Remove this row", () => removeRow(at.row)));
  tools.append(undoButton, redoButton, tell);
  const node = make("div", { className: "dwarf-grid-box" }, view, tools);

  // ---- changes, each of which can be undone

  const change = (redo, undo) => {
    redo();
    done.push({ redo, undo });
    if (done.length > 500) done.shift();
    undone.length = 0;
    draw(true);
  };
  const step = (from, to, name) => {
    const last = from.pop();
    if (!last) return;
    last[name]();
    to.push(last);
    draw(true);
  };
  const mayChange = (row, place) => columns[place].editable || row.fresh === true;
  const write = (cells) => {
    const list = cells.filter(({ row, column }) => mayChange(row, column));
    if (!list.length) return;
    const old = list.map(({ row, column }) => ({ row, column, value: row.cells[column], fault: row.faults[column] }));
    change(() => list.forEach(({ row, column, text }) => {
      const { value, why } = readCell(columns[column], text);
      if (why) row.faults[column] = { text, why };
      else { delete row.faults[column]; row.cells[column] = value; }
    }), () => old.forEach(({ row, column, value, fault }) => {
      row.cells[column] = value;
      if (fault) row.faults[column] = fault;
      else delete row.faults[column];
    }));
  };
  const freshRow = () => {
    const row = { cells: columns.map(() => null), faults: {}, fresh: true };
    columns.forEach((column, place) => {
      if (column.kind === "text" && !column.nullable) row.cells[place] = "";
      else if (!column.nullable) row.faults[place] = { text: "", why: "a value is needed" };
    });
    return row;
  };
  const addRow = (place, row = freshRow()) => {
    change(() => rows.splice(place, 0, row), () => rows.splice(rows.indexOf(row), 1));
    go({ row: place, column: at.column });
  };
  const removeRow = (place) => {
    const row = rows[place];
    if (!row) return;
    change(() => rows.splice(rows.indexOf(row), 1), () => rows.splice(place, 0, row));
    go({ row: Math.min(place, rows.length - 1), column: at.column });
  };

  // ---- what is in sight

  const faultCount = () => rows.reduce((count, row) => count + Object.keys(row.faults).length, 0);
  const isChanged = (row, place) => field.adds ? false : JSON.stringify(row.cells[place]) !== JSON.stringify(before[rows.indexOf(row)]?.[place]);
  const draw = (anew = false) => {
    const height = rows.length * ROW_HEIGHT;
    body.style.height = `${height}px`;
    view.style.height = `${(Math.min(Math.max(rows.length, 1), ROWS_IN_SIGHT) + 1) * ROW_HEIGHT + 16}px`;
    view.setAttribute("aria-rowcount", rows.length + 1);
    const first = Math.max(0, Math.floor(view.scrollTop / ROW_HEIGHT) - MARGIN);
    const last = Math.min(rows.length, first + ROWS_IN_SIGHT + 2 * MARGIN + 2);
    const now = `${first} ${last}`;
    if (now === drawn && !anew) return;
    drawn = now;
    const kept = editing?.input;
    body.replaceChildren(...rows.slice(first, last).map((row, offset) => rowOf(row, first + offset)));
    if (kept) {
      const cell = cellAt(editing);
      if (cell) { cell.replaceChildren(kept); kept.focus(); }
    }
    undoButton.disabled = !done.length;
    redoButton.disabled = !undone.length;
    const faults = faultCount();
    tell.textContent = `${rows.length.toLocaleString("en-US")} ${rows.length === 1 ? "row" : "rows"}${faults ? `, ${faults} ${faults === 1 ? "cell does" : "cells do"} not fit` : ""}`;
    tell.classList.toggle("dwarf-wrong", faults > 0);
    mark();
  };
  const rowOf = (row, place) => {
    const number = make("div", { className: "dwarf-grid-cell dwarf-grid-number", role: "rowheader", textContent: (place + 1).toLocaleString("en-US") });
    const cells = columns.map((column, each) => {
      const fault = row.faults[each];
      const value = row.cells[each];
      const text = fault ? fault.text : column.kind === "boolean" && value !== null ? (value ? "✓" : "✗") : cellText(value);
      const cell = make("div", { className: "dwarf-grid-cell", role: "gridcell", textContent: text, id: `${id}-${place}-${each}` });
      cell.dataset.column = each;
      if (!mayChange(row, each)) { cell.classList.add("dwarf-grid-fixed"); cell.setAttribute("aria-readonly", "true"); }
      if (["integer", "number"].includes(column.kind)) cell.classList.add("dwarf-number-cell");
      if (fault) { cell.classList.add("dwarf-grid-wrong"); cell.setAttribute("aria-invalid", "true"); cell.title = fault.why; }
      else if (isChanged(row, each)) cell.classList.add("dwarf-grid-changed");
      return cell;
    });
    const made = make("div", { className: "dwarf-grid-row", role: "row", "aria-rowindex": place + 2 }, number, ...cells);
    made.dataset.row = place;
    made.style.gridTemplateColumns = template;
    made.style.top = `${place * ROW_HEIGHT}px`;
    return made;
  };
  const cellAt = ({ row, column }) => body.querySelector(`[data-row="${row}"] [data-column="${column}"]`);
  const mark = () => {
    body.querySelector(".dwarf-grid-at")?.classList.remove("dwarf-grid-at");
    const cell = cellAt(at);
    if (!cell) { view.removeAttribute("aria-activedescendant"); return; }
    cell.classList.add("dwarf-grid-at");
    view.setAttribute("aria-activedescendant", cell.id);
  };
  const go = (next) => {
    at = { row: Math.min(Math.max(next.row, 0), Math.max(rows.length - 1, 0)), column: Math.min(Math.max(next.column, 0), columns.length - 1) };
    const top = at.row * ROW_HEIGHT;
    const room = view.clientHeight - ROW_HEIGHT;
    if (top < view.scrollTop) view.scrollTop = top;
    else if (room > 0 && top + ROW_HEIGHT > view.scrollTop + room) view.scrollTop = top + ROW_HEIGHT - room;
    const left = 52 + widths.slice(0, at.column).reduce((sum, width) => sum + width, 0);
    if (left - 52 < view.scrollLeft) view.scrollLeft = left - 52;
    else if (left + widths[at.column] > view.scrollLeft + view.clientWidth) view.scrollLeft = left + widths[at.column] - view.clientWidth;
    draw();
    mark();
  };

  // ---- entering

  const edit = (text) => {
    const row = rows[at.row];
    const column = columns[at.column];
    if (!row || !column || !mayChange(row, at.column) || editing) return;
    draw();
    const cell = cellAt(at);
    if (!cell) return;
    const known = row.faults[at.column]?.text ?? cellText(row.cells[at.column]);
    let input;
    if (column.kind === "choice") {
      input = make("select", { className: "dwarf-grid-input", "aria-label": column.name }, ...(column.nullable ? [make("option", { value: "", textContent: "" })] : []),
        ...column.options.map((option) => make("option", { value: String(option), textContent: String(option), selected: String(option) === known })));
    } else input = make("input", { className: "dwarf-grid-input", type: "text", value: text ?? known, "aria-label": column.name, spellcheck: false });
    editing = { row: at.row, column: at.column, input, known };
    cell.replaceChildren(input);
    input.focus();
    if (text === undefined) input.select?.();
    input.addEventListener("blur", () => { if (editing?.input === input) commit(); });
  };
  const commit = () => {
    if (!editing) return;
    const { row, column, input, known } = editing;
    editing = null;
    if (input.value !== known && rows[row]) write([{ row: rows[row], column, text: input.value }]);
    else draw(true);
  };
  const cancel = () => { editing = null; draw(true); view.focus(); };

  view.addEventListener("keydown", (event) => {
    if (isComposing(event)) return;
    const key = event.key;
    const withMeta = event.ctrlKey || event.metaKey;
    const take = () => { event.preventDefault(); event.stopPropagation(); };
    if (editing) {
      if (key === "Escape") { take(); cancel(); }
      else if (key === "Enter" && !withMeta) { take(); commit(); view.focus(); go({ row: at.row + (event.shiftKey ? -1 : 1), column: at.column }); }
      else if (key === "Tab") { take(); commit(); view.focus(); go({ row: at.row, column: at.column + (event.shiftKey ? -1 : 1) }); }
      return;
    }
    if (withMeta && key.toLowerCase() === "z") { take(); step(event.shiftKey ? undone : done, event.shiftKey ? done : undone, event.shiftKey ? "redo" : "undo"); return; }
    if (withMeta && key.toLowerCase() === "y") { take(); step(undone, done, "redo"); return; }
    const page = ROWS_IN_SIGHT - 1;
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], PageUp: [-page, 0], PageDown: [page, 0] };
    if (moves[key]) { take(); go({ row: at.row + moves[key][0], column: at.column + moves[key][1] }); return; }
    if (key === "Home" || key === "End") {
      take();
      const edge = key === "Home" ? 0 : Infinity;
      go(withMeta ? { row: edge, column: at.column } : { row: at.row, column: edge });
      return;
    }
    if (withMeta || event.altKey) return;
    if (key === "Enter" || key === "F2") { take(); edit(); }
    else if (key === "Delete" || key === "Backspace") { take(); if (rows[at.row]) write([{ row: rows[at.row], column: at.column, text: "" }]); }
    else if (key === " " && columns[at.column]?.kind === "boolean") { take(); if (rows[at.row]) write([{ row: rows[at.row], column: at.column, text: rows[at.row].cells[at.column] ? "false" : "true" }]); }
    else if (key.length === 1) { take(); edit(key); }
  });
  body.addEventListener("mousedown", (event) => {
    const cell = event.target.closest("[data-column]");
    if (!cell || event.target === editing?.input) return;
    event.preventDefault();
    commit();
    view.focus();
    go({ row: Number(cell.parentElement.dataset.row), column: Number(cell.dataset.column) });
  });
  body.addEventListener("dblclick", () => edit());
  view.addEventListener("copy", (event) => {
    if (editing || !rows[at.row]) return;
    event.preventDefault();
    event.clipboardData.setData("text/plain", cellText(rows[at.row].cells[at.column]));
  });
  view.addEventListener("paste", (event) => {
    if (editing) return;
    event.preventDefault();
    paste(event.clipboardData.getData("text/plain"));
  });
  const paste = (text) => {
    const lines = text.replace(/\r\n?/g, "\n").replace(/\n$/, "").split("\n").map((line) => line.split("\t"));
    const added = [];
    const cells = [];
    lines.forEach((parts, down) => {
      let row = rows[at.row + down] ?? added[at.row + down - rows.length];
      if (!row) {
        if (!field.adds) return;
        row = freshRow();
        added.push(row);
      }
      parts.forEach((part, right) => { if (at.column + right < columns.length) cells.push({ row, column: at.column + right, text: part }); });
    });
    if (added.length) {
      write(cells);
      const last = done.pop();
      if (last) last.undo();
      change(() => { rows.push(...added); last?.redo(); }, () => { last?.undo(); rows.splice(rows.length - added.length, added.length); });
    } else write(cells);
  };
  view.addEventListener("scroll", () => draw());

  draw(true);
  const read = () => {
    commit();
    for (const [place, row] of rows.entries()) {
      const wrong = Object.keys(row.faults)[0];
      if (wrong === undefined) continue;
      go({ row: place, column: Number(wrong) });
      throw new Error(`Row ${place + 1}, ${columns[wrong].name}: ${row.faults[wrong].why}${row.faults[wrong].text ? `, not ${JSON.stringify(row.faults[wrong].text)}` : ""}.`);
    }
    return rows.map((row) => Object.fromEntries(columns.map((column, place) => [column.name, row.cells[place]])));
  };
  return { node, read, main: view, wide: true };
}
