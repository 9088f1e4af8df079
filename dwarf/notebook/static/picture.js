// @ts-check
// The live picture of a run. The SVG comes laid out; from then on only states, words and colours change.
// A node's path is its place in the graph ("3"), in an open subgraph with the path of the node around it ("3/0").

import { shortTime } from "./card.js";
import { pageIsDark } from "./dark.js";
import { make } from "./dom.js";
import { foldsOf } from "./fold.js";
import { viewportOf } from "./viewport.js";

const ASKED = 1;
const NESTED = 2;
const REDEFINED = 4;
const STOPS = { before: 16, after: 32 };
const HEAD = 40; // pixels of the drawing above the graph
const EDGE = 12; // at its other sides
export const SVG = "http://www.w3.org/2000/svg";

const part = (group, name) => group.querySelector(`:scope > [data-part="${name}"]`);

export function setAll(node, attributes) {
  if (node) for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
}

// Every colour of the picture in the shade of the page.
export function shades(theme) {
  const dark = pageIsDark() ? theme.dark : {};
  const hue = (colour) => dark[colour] ?? colour;
  const looks = theme.states.map((key) => theme.looks[key]).map((look) => ({ ...look, fill: hue(look.fill), line: hue(look.line), ink: hue(look.ink) }));
  return { hue, looks, edge: theme.edge.map(hue), onError: theme.onError.map(hue), glyph: hue("#ffffff"), hair: hue("#e2e8f0") };
}

function importSvg(text, hue) {
  const parsed = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  const svg = document.importNode(parsed, true);
  svg.setAttribute("class", "dwarf-svg");
  svg.setAttribute("role", "group"); // what is in it can be reached
  // The name and the status stand above the picture, where they stay in sight, and the page is its ground.
  svg.querySelectorAll(':scope > [data-part="head"], :scope > [data-part="flow"], :scope > [data-part="ground"]').forEach((each) => each.remove());
  const [x, y, width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  svg.setAttribute("viewBox", `${x + EDGE} ${y + HEAD} ${width - 2 * EDGE} ${height - HEAD - EDGE}`);
  for (const node of svg.querySelectorAll("[fill], [stroke]")) {
    for (const name of ["fill", "stroke"]) {
      const colour = node.getAttribute(name);
      if (colour && hue(colour) !== colour) node.setAttribute(name, hue(colour));
    }
  }
  const name = svg.getAttribute("data-name") ?? "";
  return { svg, name, width: width - 2 * EDGE, height: height - HEAD - EDGE };
}

function setLine(text, words) {
  if (!text || text.dataset.words === words) return;
  text.dataset.words = words;
  text.textContent = words;
  const room = Number(text.getAttribute("data-room"));
  if (!room || words.length * 8 < room || !(text.getComputedTextLength?.() > room)) return;
  let fits = 0;
  let long = words.length;
  while (long - fits > 1) {
    const middle = (fits + long) >> 1;
    text.textContent = words.slice(0, middle).trimEnd() + "…";
    if (text.getComputedTextLength() > room) long = middle;
    else fits = middle;
  }
  text.textContent = words.slice(0, fits).trimEnd() + "…";
}

function paintIcon(group, look, shade) {
  const icon = part(group, "icon");
  if (!icon) return;
  const open = look.glyph === "";
  setAll(icon.querySelector("circle"), { fill: open ? "none" : look.ink, stroke: open ? look.line : look.ink });
  const solid = look.key === "running";
  setAll(icon.querySelector("path"), {
    d: look.glyph || "M0 0", stroke: shade.glyph, fill: solid ? shade.glyph : "none", "stroke-width": solid ? 1 : 1.9,
  });
}

// A node as it comes over the wire, with what was left out put back.
function readNode(told, looks) {
  const [state = 0, word = "", rest = "", since = 0, until = 0, parts = [], flags = 0, detail = ""] = told ?? [];
  const look = looks[state] ?? looks[0];
  return { look, word: word || look.word, rest, since, until, parts, flags, detail };
}

function lineOf(view, now) {
  if (view.until > now) return [`${view.word} in ${shortTime(view.until - now)}`, view.rest].filter(Boolean).join(" · ");
  return [view.word, view.since ? shortTime(now - view.since) : "", view.rest].filter(Boolean).join(" · ");
}

function countsOf(view, looks) {
  const total = view.parts.reduce((sum, [, count]) => sum + count, 0);
  if (!total || /^[\d,]+ (of [\d,]+|done)$/.test(view.word) === false) return view.look.word;
  return view.parts.map(([state, count]) => `${count.toLocaleString("en-US")} ${looks[state].word}`).join(", ");
}

function paintNode(group, view, shade) {
  const { look, flags } = view;
  group.dataset.state = look.key;
  const card = part(group, "card");
  setAll(card, { fill: look.fill, stroke: look.line });
  if (look.key === "idle") card.setAttribute("stroke-dasharray", "4 3");
  else card.removeAttribute("stroke-dasharray");
  group.querySelectorAll(':scope > [data-part="behind"]').forEach((back) => setAll(back, { fill: look.fill, stroke: look.line }));
  paintIcon(group, look, shade);
  setAll(part(group, "line"), { fill: look.ink });
  const title = group.querySelector(":scope > title");
  title.textContent = [group.dataset.name, countsOf(view, shade.looks), view.detail].filter(Boolean).join("\n");
  const show = (name, shown) => setAll(part(group, name), { display: shown ? "inline" : "none" });
  show("asked", flags & ASKED);
  show("nested", flags & NESTED);
  show("redefined", flags & REDEFINED);
  const stops = Object.entries(STOPS).filter(([, flag]) => flags & flag).map(([at]) => at);
  for (const at of Object.keys(STOPS)) show(`stop-${at}`, stops.includes(at));
  paintBar(part(group, "bar"), card, view.parts, shade);
  const notes = [flags & ASKED && "puts a question", flags & NESTED && "runs a subgraph", flags & REDEFINED && "redefined", stops.length && `the flow stops ${stops.join(" and ")} it`];
  const words = [lineOf({ ...view, since: 0, until: 0 }, 0), ...notes].filter(Boolean).join(", ");
  group.setAttribute("aria-label", `${group.dataset.name}: ${words}`);
}

function paintBar(bar, card, parts, shade) {
  if (!bar) return;
  const total = parts.reduce((sum, [, count]) => sum + count, 0);
  const room = Number(card.getAttribute("width")) - 20;
  const y = (Number(card.dataset.head) || Number(card.getAttribute("height"))) - 6;
  const pieces = [];
  const piece = (x, width, fill) => {
    const rect = document.createElementNS(SVG, "rect");
    setAll(rect, { x, y, width, height: 3, fill });
    pieces.push(rect);
  };
  let left = 10;
  if (total) piece(left, room, shade.hair);
  for (const [state, count] of parts) {
    const look = shade.looks[state] ?? shade.looks[0];
    const width = (room * count) / total;
    if (look.key !== "pending" && look.key !== "delayed") piece(left, Math.max(width, 1.5), look.line);
    left += width;
  }
  bar.replaceChildren(...pieces);
}

// The name of the workflow, and its status with a clock.
export function flowLine(name) {
  const mark = make("span", { className: "dwarf-sign", "aria-hidden": "true" });
  const text = make("span");
  text.dataset.part = "line";
  const pill = make("span", { className: "dwarf-flow" }, mark, text);
  pill.dataset.part = "flow";
  return { root: make("div", { className: "dwarf-head-line" }, make("span", { className: "dwarf-flow-name", textContent: name, title: name }), pill), pill, mark, text };
}

export function paintFlow(svg, { pill, mark, text }, flow, shade, now) {
  const look = shade.looks[flow.state] ?? shade.looks[1];
  const clock = flow.began ? shortTime((flow.ended || now) - flow.began) : "";
  const steps = flow.steps ? `${flow.steps.toLocaleString("en-US")} step${flow.steps === 1 ? "" : "s"}` : "";
  const word = flow.word || look.word;
  const words = [word, clock, steps].filter(Boolean).join(" · ");
  if (pill.dataset.word !== word) svg?.setAttribute("aria-label", `Workflow ${svg.dataset.name ?? ""}, ${word}`);
  pill.dataset.word = word;
  if (text.textContent !== words) text.textContent = words;
  if (pill.dataset.shown === look.key && pill.dataset.ink === look.ink) return;
  [pill.dataset.shown, pill.dataset.ink] = [look.key, look.ink];
  mark.textContent = look.sign;
  [pill.style.color, pill.style.background, pill.style.borderColor] = [look.ink, look.fill, look.line];
}

function paintEdges(edges, taken, shade) {
  edges.forEach((edge, place) => {
    const strong = taken[place] === "1";
    if (!edge || edge.strong === strong) return;
    edge.strong = strong;
    const colour = (edge.node.dataset.kind === "on_error" ? shade.onError : shade.edge)[strong ? 1 : 0];
    edge.node.querySelectorAll("[data-ink]").forEach((node) => {
      for (const name of node.dataset.ink.split(" ")) node.setAttribute(name, colour);
    });
  });
}

// The nearest node in the direction of an arrow key, by the places on the screen.
function neighbour(groups, from, key) {
  const across = key === "ArrowLeft" || key === "ArrowRight";
  const sign = key === "ArrowRight" || key === "ArrowDown" ? 1 : -1;
  const middle = (group) => {
    const box = group.getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
  };
  const [x, y] = middle(from);
  let best = null;
  let least = Infinity;
  for (const group of groups) {
    if (group === from) continue;
    const [dx, dy] = [middle(group)[0] - x, middle(group)[1] - y];
    const [ahead, aside] = across ? [dx * sign, Math.abs(dy)] : [dy * sign, Math.abs(dx)];
    const way = ahead + 2 * aside;
    if (ahead > 4 && way < least) { best = group; least = way; }
  }
  return best;
}

// Keeps the picture in `box` in step with the model. `pick(path)` is called for a node that is opened, `unfold(path)` for
// a subgraph that is to be opened or closed in place; `now()` is the kernel's time.
export function pictureKeeper(model, box, { pick, unfold, now }) {
  let shade = shades(model.get("theme"));
  let svg = null;
  let groups = new Map();
  let edges = {};
  let shown = new Map();
  let views = new Map();
  let current = null;
  let folds = null;
  let height = 0;
  const view = viewportOf(box);
  const line = flowLine("");

  const focusOn = (group) => {
    if (!group) return;
    groups.forEach((each) => each.setAttribute("tabindex", each === group ? "0" : "-1"));
    current = group.dataset.node;
  };

  const layOut = () => {
    const had = box.contains(document.activeElement);
    shade = shades(model.get("theme"));
    box.replaceChildren();
    [svg, groups, edges, shown, views] = [null, new Map(), {}, new Map(), new Map()];
    if (!model.get("svg")) return;
    const drawing = importSvg(model.get("svg"), shade.hue);
    svg = drawing.svg;
    box.append(svg);
    line.root.firstChild.textContent = line.root.firstChild.title = drawing.name;
    height = drawing.height;
    view.show(/** @type {any} */ (svg), drawing.width, height);
    folds = view.isHigh(height) ? foldsOf(/** @type {any} */ (svg), () => fold()) : null;
    for (const group of /** @type {NodeListOf<SVGElement>} */ (svg.querySelectorAll("[data-node]"))) {
      groups.set(group.dataset.node, group);
      setAll(group, { role: "button", tabindex: "-1" });
    }
    for (const node of /** @type {NodeListOf<SVGElement>} */ (svg.querySelectorAll("[data-edge]"))) {
      const cut = node.dataset.edge.lastIndexOf("/");
      (edges[node.dataset.edge.slice(0, Math.max(cut, 0))] ??= [])[Number(node.dataset.edge.slice(cut + 1))] = { node, strong: null };
    }
    focusOn(groups.get(current) ?? groups.values().next().value);
    paint();
    if (had) groups.get(current)?.focus();
  };

  // Show of long chains that are done only the ends. A picture keeps what is folded until it is laid out anew.
  const fold = () => {
    const less = folds?.any ? folds.refresh((path) => views.get(path)?.look.key === "completed") : null;
    if (less === null) return;
    const [x, y, width] = svg.getAttribute("viewBox").split(" ");
    svg.setAttribute("viewBox", `${x} ${y} ${width} ${height - less}`);
    view.resize(height - less);
  };

  const paint = () => {
    if (!svg) return;
    for (const [path, plane] of Object.entries(model.get("planes") ?? {})) {
      plane.nodes.forEach((told, place) => {
        const name = path ? `${path}/${place}` : String(place);
        const key = JSON.stringify(told);
        const group = groups.get(name);
        if (!group || shown.get(name) === key) return;
        shown.set(name, key);
        const view = readNode(told, shade.looks);
        views.set(name, view);
        paintNode(group, view, shade);
        setLine(part(group, "line"), lineOf(view, now()));
      });
      if (edges[path]) paintEdges(edges[path], plane.taken, shade);
    }
    fold();
    view.seek();
    tick();
  };

  const tick = () => {
    if (!svg || document.hidden) return;
    const moment = now();
    views.forEach((view, path) => {
      if (view.since || view.until) setLine(part(groups.get(path), "line"), lineOf(view, moment));
    });
    paintFlow(svg, line, model.get("flow") ?? {}, shade, moment);
  };

  box.addEventListener("click", (event) => {
    const group = event.target.closest?.("[data-node]");
    if (!group) return;
    focusOn(group);
    if (event.target.closest('[data-part="nested"]')) unfold(group.dataset.node);
    else pick(group.dataset.node);
  });
  box.addEventListener("keydown", (event) => {
    const group = event.target.closest?.("[data-node]");
    if (!group || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Enter" || event.key === " ") pick(group.dataset.node);
    else if ((event.key === "+" || event.key === "-") && views.get(group.dataset.node)?.flags & NESTED) unfold(group.dataset.node);
    else if (event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End") {
      const all = [...groups.values()].filter((each) => each.style.display !== "none");
      const next = event.key === "Home" ? all[0] : event.key === "End" ? all.at(-1) : neighbour(all, group, event.key);
      focusOn(next);
      next?.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });

  return {
    layOut, paint, tick,
    line: line.root,
    zooms: view.bar,
    stop: view.stop,
    shade: () => shade,
    focus: (path) => groups.get(path)?.focus(),
    view: (path) => views.get(path),
    name: (path) => groups.get(path)?.dataset.name ?? "",
    find: (name) => [...groups.entries()].find(([, group]) => group.dataset.name === name)?.[0],
    choose: (path) => groups.forEach((group, key) => group.classList.toggle("dwarf-chosen", key === path)),
    word: () => model.get("flow")?.word || (shade.looks[model.get("flow")?.state] ?? shade.looks[1]).word,
  };
}
