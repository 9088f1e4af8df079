// @ts-check
// Chains that are done, in a picture that is too high for its window: of many completed nodes in a row only the first and
// the last are shown, and a mark between them that brings the others back; a mark beside the first one then folds them
// again. pictures/folding.py does the same for pictures that stay.

const LEAST_FOLDED = 4; // nodes
const MARK = 46; // pixels between the two that stay
const SPACE = "http://www.w3.org/2000/svg";

/** @typedef {{ node: SVGGraphicsElement, top: number, bottom: number, x: number, y: number, moved: boolean, path: string | null }} Piece */

/** @param {SVGGraphicsElement} node @returns {Piece} */
function pieceOf(node) {
  const [, x = "0", y = "0"] = /translate\(([-\d.]+)[ ,]+([-\d.]+)\)/.exec(node.getAttribute("transform") ?? "") ?? [];
  const box = node.getBBox();
  const path = node.classList.contains("dwarf-node") ? node.dataset.node ?? null : null;
  // a node is its card: what sticks out of it may come and go
  const card = path === null ? null : node.querySelector(':scope > [data-part="card"]');
  const [top, high] = card ? [0, Number(card.getAttribute("height"))] : [box.y, box.height];
  return { node, top: top + Number(y), bottom: top + Number(y) + high, x: Number(x), y: Number(y), moved: false, path };
}

/**
 * The chains that could be folded: nodes one above the other with nothing beside them, by which no edge passes.
 *
 * @param {Piece[]} pieces
 * @returns {Piece[][]}
 */
function chainsOf(pieces) {
  const nodes = pieces.filter((piece) => piece.path !== null).sort((one, other) => one.top - other.top);
  const others = pieces.filter((piece) => piece.path === null);
  /** @type {Piece[][]} */
  const chains = [[]];
  nodes.forEach((piece, place) => {
    const alone = (nodes[place - 1]?.bottom ?? -Infinity) <= piece.top && (nodes[place + 1]?.top ?? Infinity) >= piece.bottom;
    const passed = others.some((other) => other.top < piece.top - 2 && other.bottom > piece.bottom + 2);
    if (alone && !passed) chains[chains.length - 1].push(piece);
    else chains.push([]);
  });
  return chains.filter((chain) => chain.length > LEAST_FOLDED + 1);
}

/**
 * @param {SVGSVGElement} svg the picture, which stands in the page
 * @param {() => void} changed called when the reader has unfolded a chain
 */
export function foldsOf(svg, changed) {
  const sheet = /** @type {SVGGElement | null} */ (svg.querySelector(":scope > g"));
  const pieces = sheet ? /** @type {SVGGraphicsElement[]} */ ([...sheet.children]).map(pieceOf) : [];
  const chains = chainsOf(pieces);
  const opened = new Set(); // the paths of the nodes above what the reader has unfolded
  /** @type {SVGGElement[]} */
  let marks = [];
  let told = "|";

  /** @param {SVGGElement} group @param {string} kind @param {string} path @param {() => void} act */
  const pressable = (group, kind, path, act) => {
    for (const [name, value] of Object.entries({ class: kind, role: "button", tabindex: "0", "data-fold": path })) group.setAttribute(name, value);
    const press = () => {
      const held = document.activeElement === group;
      act();
      changed();
      if (held) marks.find((each) => each.dataset.fold === path)?.focus();
    };
    group.addEventListener("click", (event) => { event.stopPropagation(); press(); });
    group.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      event.stopPropagation();
      press();
    });
  };

  // What folds a chain again, beside its first node.
  /** @param {Piece[]} row @param {number} up */
  const closer = (row, up) => {
    const [first] = row;
    const group = document.createElementNS(SPACE, "g");
    const card = first.node.querySelector(':scope > [data-part="card"]');
    const [width, high] = ["width", "height"].map((name) => Number(card?.getAttribute(name) ?? 0));
    group.setAttribute("transform", `translate(${first.x + width + 6} ${first.y - up + high / 2})`);
    group.setAttribute("aria-label", `fold ${row.length - 2} completed nodes again`);
    const title = document.createElementNS(SPACE, "title");
    title.textContent = `fold ${row.length - 2} completed nodes again`;
    const ground = document.createElementNS(SPACE, "rect");
    for (const [name, value] of Object.entries({ x: 0, y: -9, width: 18, height: 18, rx: 5, fill: "transparent" })) ground.setAttribute(name, String(value));
    const words = document.createElementNS(SPACE, "text");
    words.textContent = "⋯";
    for (const [name, value] of Object.entries({ x: 9, y: 4.5, "font-size": 14, "text-anchor": "middle" })) words.setAttribute(name, String(value));
    group.append(title, ground, words);
    pressable(group, "dwarf-unfolded", first.path ?? "", () => opened.delete(first.path));
    return group;
  };

  /** @param {Piece} first @param {Piece[]} hidden @param {number} up */
  const mark = (first, hidden, up) => {
    const names = hidden.map((piece) => piece.node.dataset.name ?? "");
    const group = document.createElementNS(SPACE, "g");
    const middle = first.x + Number(first.node.querySelector(':scope > [data-part="card"]')?.getAttribute("width") ?? 0) / 2;
    group.setAttribute("transform", `translate(${middle} ${first.bottom - up})`);
    group.setAttribute("aria-label", `${hidden.length} completed nodes, ${names[0]} to ${names[names.length - 1]}: show them`);
    const line = document.createElementNS(SPACE, "line");
    for (const [name, value] of Object.entries({ x1: 0, x2: 0, y1: 0, y2: MARK, "stroke-dasharray": "2 4" })) line.setAttribute(name, String(value));
    const words = document.createElementNS(SPACE, "text");
    words.textContent = `⋯ ${hidden.length} completed`;
    for (const [name, value] of Object.entries({ x: 10, y: MARK / 2 + 4, "font-size": 11 })) words.setAttribute(name, String(value));
    const title = document.createElementNS(SPACE, "title");
    title.textContent = names.join("\n");
    const ground = document.createElementNS(SPACE, "rect"); // what can be hit
    for (const [name, value] of Object.entries({ x: -12, y: 2, width: 130, height: MARK - 4, rx: 6, fill: "transparent" })) ground.setAttribute(name, String(value));
    group.append(title, ground, line, words);
    pressable(group, "dwarf-chain", first.path ?? "", () => opened.add(first.path));
    return group;
  };

  /** @param {Piece} piece @param {number} up */
  const move = (piece, up) => {
    if (!up && !piece.moved) return;
    piece.moved = true;
    piece.node.setAttribute("transform", `translate(${piece.x} ${piece.y - up})`);
  };

  return {
    any: chains.length > 0,
    /**
     * Fold what is done by now. Returns by how much the picture is less high, or null where nothing has changed.
     *
     * @param {(path: string) => boolean} isDone
     * @returns {number | null}
     */
    refresh(isDone) {
      /** @type {Piece[][]} */
      const folds = [];
      /** @type {Piece[][]} */
      const unfolded = [];
      for (const chain of chains) {
        let row = /** @type {Piece[]} */ ([]);
        for (const piece of [...chain, null]) {
          if (piece !== null && isDone(piece.path ?? "")) { row.push(piece); continue; }
          if (row.length > LEAST_FOLDED + 1) (opened.has(row[0].path) ? unfolded : folds).push(row);
          row = [];
        }
      }
      const now = [folds, unfolded].map((rows) => rows.map((row) => `${row[0].path}-${row[row.length - 1].path}`).join(" ")).join("|");
      if (now === told) return null;
      told = now;
      marks.forEach((each) => each.remove());
      const cuts = folds.map((row) => ({ row, from: row[0].bottom - 1, to: row[row.length - 1].top + 1 }));
      const up = (/** @type {number} */ y) => cuts.reduce((sum, { from, to }) => (to <= y + 2 ? sum + to - from - MARK : sum), 0);
      for (const piece of pieces) {
        const hidden = cuts.some(({ from, to }) => piece.top >= from && piece.bottom <= to);
        piece.node.style.display = hidden ? "none" : "";
        if (!hidden) move(piece, up(piece.top));
      }
      marks = [
        ...cuts.map(({ row }) => mark(row[0], row.slice(1, -1), up(row[0].top))),
        ...unfolded.map((row) => closer(row, up(row[0].top))),
      ];
      sheet?.append(...marks);
      return up(Infinity);
    },
  };
}
