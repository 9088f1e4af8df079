// The live picture of a run. The SVG comes laid out; from then on only states, words and colours change.

function importSvg(text) {
  const parsed = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  const svg = document.importNode(parsed, true);
  svg.style.display = "block";
  svg.style.maxWidth = "100%";
  svg.style.height = "auto";
  return svg;
}

const part = (group, name) => group.querySelector(`[data-part="${name}"]`);

function setAll(node, attributes) {
  if (node) for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
}

function setLine(text, words) {
  if (!text || text.dataset.words === words) return;
  text.dataset.words = words;
  text.textContent = words;
  const room = Number(text.getAttribute("data-room"));
  let cut = words;
  while (room && cut.length > 4 && text.getComputedTextLength?.() > room) {
    cut = cut.slice(0, -2);
    text.textContent = cut.trimEnd() + "…";
  }
}

function paintIcon(group, look) {
  const icon = part(group, "icon");
  if (!icon) return;
  const open = look.glyph === "";
  setAll(icon.querySelector("circle"), { fill: open ? "none" : look.ink, stroke: open ? look.line : look.ink });
  const solid = look.key === "running";
  setAll(icon.querySelector("path"), { d: look.glyph || "M0 0", fill: solid ? "#ffffff" : "none", "stroke-width": solid ? 1 : 1.9 });
}

function lineOf(view, now) {
  const [word, rest, since, until] = view.line;
  if (until > now) return [`${word} in ${shortTime(until - now)}`, rest].filter(Boolean).join(" · ");
  return [word, since ? shortTime(now - since) : "", rest].filter(Boolean).join(" · ");
}

function paintNode(group, view, looks) {
  const look = looks[view.state] ?? looks.idle;
  group.dataset.state = view.state;
  const card = part(group, "card");
  setAll(card, { fill: look.fill, stroke: look.line });
  if (view.state === "idle") card.setAttribute("stroke-dasharray", "4 3");
  else card.removeAttribute("stroke-dasharray");
  group.querySelectorAll('[data-part="behind"]').forEach((back) => setAll(back, { fill: look.fill, stroke: look.line }));
  paintIcon(group, look);
  setAll(part(group, "line"), { fill: look.ink });
  if (view.detail) group.querySelector("title").textContent = view.detail;
  setAll(part(group, "asked"), { display: view.asked ? "inline" : "none" });
  setAll(part(group, "nested"), { display: view.nested ? "inline" : "none" });
  paintBar(part(group, "bar"), card, view.parts, looks);
}

function paintBar(bar, card, parts, looks) {
  if (!bar) return;
  const total = parts.reduce((sum, [, count]) => sum + count, 0);
  const room = Number(card.getAttribute("width")) - 20;
  const y = Number(card.getAttribute("height")) - 6;
  const pieces = [];
  const piece = (x, width, fill) => {
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    setAll(rect, { x, y, width, height: 3, fill });
    pieces.push(rect);
  };
  let left = 10;
  if (total) piece(left, room, "#e2e8f0");
  for (const [state, count] of parts) {
    const width = (room * count) / total;
    if (state !== "pending" && state !== "delayed") piece(left, Math.max(width, 1.5), (looks[state] ?? looks.idle).line);
    left += width;
  }
  bar.replaceChildren(...pieces);
}

function paintFlow(svg, flow, looks, now) {
  const pill = svg.querySelector('[data-part="flow"]');
  const look = looks[flow.state] ?? looks.pending;
  if (!pill) return "";
  const clock = flow.began ? shortTime((flow.ended || now) - flow.began) : "";
  const steps = flow.steps ? `${flow.steps.toLocaleString("en-US")} step${flow.steps === 1 ? "" : "s"}` : "";
  const text = part(pill, "line");
  setLine(text, [look.word, clock, steps].filter(Boolean).join(" · "));
  text.setAttribute("fill", look.ink);
  paintIcon(pill, look);
  const width = (text.getComputedTextLength?.() || 120) + 34;
  setAll(part(pill, "card"), { fill: look.fill, stroke: look.line, width });
  return look.word;
}

function paintEdges(svg, taken, theme) {
  svg.querySelectorAll("[data-edge]").forEach((edge) => {
    const strong = taken[Number(edge.dataset.edge)] === "1";
    const pair = edge.dataset.kind === "on_error" ? theme.onError : theme.edge;
    const colour = pair[strong ? 1 : 0];
    edge.querySelectorAll("[data-ink]").forEach((node) => {
      for (const name of node.dataset.ink.split(" ")) node.setAttribute(name, colour);
    });
  });
}

function render({ model, el }) {
  const theme = model.get("theme");
  const looks = theme.looks;
  const box = make("div", { className: "dwarf-picture" });
  const fault = make("div", { className: "dwarf-fault", role: "alert" });
  const asks = make("div", { className: "dwarf-cards" });
  const said = make("div", { className: "dwarf-said", role: "status", "aria-live": "polite" });
  const root = make("div", { className: "dwarf-run" }, box, fault, asks, said);
  el.append(root);
  const keeper = cardKeeper(asks, (message) => model.send(message));
  let svg = null;
  let groups = [];
  let shown = [];
  let skew = 0;
  const now = () => Date.now() / 1000 - skew;

  const layOut = () => {
    box.replaceChildren();
    svg = null;
    if (!model.get("svg")) return;
    svg = importSvg(model.get("svg"));
    box.append(svg);
    groups = [];
    svg.querySelectorAll("[data-node]").forEach((group) => { groups[Number(group.dataset.node)] = group; });
    shown = [];
    paint();
  };
  const paint = () => {
    const flow = model.get("flow");
    if (flow.now) skew = Date.now() / 1000 - flow.now;
    if (svg) {
      model.get("nodes").forEach((view, place) => {
        const key = JSON.stringify(view);
        if (!groups[place] || shown[place] === key) return;
        shown[place] = key;
        paintNode(groups[place], view, looks);
      });
      paintEdges(svg, model.get("taken"), theme);
      const word = paintFlow(svg, flow, looks, now());
      if (said.textContent !== word) said.textContent = word;
    }
    fault.textContent = flow.error ?? "";
    tick();
  };
  const tick = () => {
    if (document.hidden) return;
    const moment = now();
    keeper.tick(moment);
    if (!svg) return;
    model.get("nodes").forEach((view, place) => {
      if (groups[place]) setLine(part(groups[place], "line"), lineOf(view, moment) || (looks[view.state] ?? looks.idle).word);
    });
    paintFlow(svg, model.get("flow"), looks, moment);
  };
  const cards = () => { keeper.show(model.get("cards")); tick(); };

  layOut();
  cards();
  model.on("change:svg", layOut);
  model.on("change:nodes change:flow change:taken", paint);
  model.on("change:cards", cards);
  const timer = setInterval(() => { if (!model.get("flow").ended) tick(); }, 500);
  model.send({ type: "ready" }); // from now on somebody can see and answer
  return () => {
    clearInterval(timer);
    model.off("change:svg", layOut);
    model.off("change:nodes change:flow change:taken", paint);
    model.off("change:cards", cards);
  };
}

export default { render };
