// @ts-check
// What the tasks say and show: lines, streams and displays. Nothing that a task has made runs here or loads anything:
// pages stand in frames without scripts, and of Markdown only harmless tags are taken over.

import { make } from "./dom.js";

const TAGS = new Set("A B BLOCKQUOTE BR CODE DEL EM H1 H2 H3 H4 H5 H6 HR I LI OL P PRE S STRONG TABLE TBODY TD TH THEAD TR UL".split(" "));
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

// Harmless tags of a text of HTML, made anew one by one.
export function richText(html, className = "dwarf-rich") {
  const source = new DOMParser().parseFromString(html, "text/html").body;
  const copy = (from, to) => {
    for (const node of from.childNodes) {
      if (node.nodeType === Node.TEXT_NODE) to.append(node.data);
      else if (node.nodeType === Node.ELEMENT_NODE && TAGS.has(node.tagName)) {
        const made = document.createElement(node.tagName);
        if (node.tagName === "A" && /^(https?:|mailto:)/i.test(node.getAttribute("href") ?? "")) {
          made.href = node.getAttribute("href");
          made.target = "_blank";
          made.rel = "noopener noreferrer";
        }
        copy(node, made);
        to.append(made);
      } else if (node.nodeType === Node.ELEMENT_NODE) copy(node, to);
    }
  };
  const box = make("div", { className });
  copy(source, box);
  return box;
}

function closedFrame(html, label, dark) {
  const ink = dark ? "#e6ebf2" : "#0f172a";
  const style = `body{margin:0;font:13px/1.45 system-ui,sans-serif;color:${ink};background:transparent}` +
    "table{border-collapse:collapse;border:0;font-size:12.5px}th,td{border:0;padding:2px 10px 2px 0;text-align:left;border-bottom:1px solid #94a3b866;font-weight:400}thead th{font-weight:600}";
  const frame = make("iframe", { className: "dwarf-frame", title: label });
  frame.setAttribute("sandbox", "allow-same-origin"); // without scripts, so that only its height can be read
  frame.srcdoc = `<!DOCTYPE html><html><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${POLICY}"><style>${style}</style></head><body>${html}</body></html>`;
  frame.addEventListener("load", () => {
    const height = frame.contentDocument?.body?.scrollHeight;
    if (height) frame.style.height = `${Math.min(height + 4, 480)}px`;
  });
  return frame;
}

// A view of a display, as `bundles.py` makes it.
export function displayOf(view, label, dark) {
  if (view.kind === "image") return make("img", { className: "dwarf-shown", src: view.src, alt: view.alt || label });
  if (view.kind === "frame") return closedFrame(view.html, label, dark);
  if (view.kind === "rich") return richText(view.html);
  return make("pre", { textContent: view.text ?? "" });
}

function figureOf(view, dark) {
  const figure = make("figure", { className: "dwarf-figure" });
  if (view.name) figure.append(make("figcaption", { textContent: view.name }));
  figure.append(displayOf(view, view.name || "display", dark));
  return figure;
}

/**
 * @param {string[]} line
 * @param {boolean} withNode
 */
function spokenLine([node, source, level, text], withNode) {
  const line = make("div", { className: `dwarf-said-line dwarf-from-${source}` });
  if (withNode) line.append(make("span", { className: "dwarf-said-node", textContent: node }));
  if (level) line.append(make("span", { className: "dwarf-said-level", textContent: level }));
  line.append(make("span", { className: "dwarf-said-text", textContent: text }));
  return line;
}

// The parts of a step's panel that tell what it has said and shown.
/**
 * @param {import("./messages").StepReply} step
 * @param {boolean} dark
 */
export function saidParts(step, dark) {
  const parts = [];
  if (step.displays?.length) parts.push(make("div", { className: "dwarf-figures" }, ...step.displays.map((view) => figureOf(view, dark))));
  for (const [name, text] of step.streams ?? []) {
    const box = make("details", { className: "dwarf-fold", open: true });
    box.append(make("summary", { textContent: name ? `Stream: ${name}` : "Stream" }), make("pre", { className: "dwarf-stream", textContent: text, tabIndex: 0, role: "group", "aria-label": name || "stream" }));
    parts.push(box);
  }
  if (step.output?.length) {
    const box = make("details", { className: "dwarf-fold", open: true });
    const lines = make("div", { className: "dwarf-lines", tabIndex: 0, role: "group", "aria-label": "output" }, ...step.output.map((line) => spokenLine(line, false)));
    if (step.left_out) lines.prepend(make("div", { className: "dwarf-help", textContent: `… ${step.left_out.toLocaleString("en-US")} lines before these` }));
    box.append(make("summary", { textContent: "Output" }), lines);
    parts.push(box);
    requestAnimationFrame(() => { lines.scrollTop = lines.scrollHeight; });
  }
  return parts;
}

// What is said just now, under the picture: the last lines in a fold, streams as they come, displays in small.
export function saidKeeper(model, pick) {
  const last = make("span", { className: "dwarf-last" });
  const head = make("summary", {}, make("span", { className: "dwarf-said-count" }), last);
  const lines = make("div", { className: "dwarf-lines", tabIndex: 0, role: "log", "aria-label": "output of the tasks" });
  const box = make("details", { className: "dwarf-fold dwarf-output", hidden: true }, head, lines);
  const streams = make("div", { className: "dwarf-streams" });
  const shown = make("div", { className: "dwarf-thumbs" });
  const root = make("div", { className: "dwarf-said-part" }, streams, shown, box);
  let told = "";
  let thumbs = "";

  const paint = () => {
    /** @type {Partial<import("./messages").SaidState>} */
    const said = model.get("said") ?? {};
    const now = JSON.stringify([said.lines, said.count, said.streams]);
    if (now !== told) {
      told = now;
      const atEnd = lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 8;
      box.hidden = !said.lines?.length;
      head.firstChild.textContent = `Output · ${(said.count ?? 0).toLocaleString("en-US")} ${said.count === 1 ? "line" : "lines"}`;
      const latest = said.lines?.at(-1);
      last.textContent = latest ? `${latest[0]}: ${latest[3]}` : "";
      lines.replaceChildren(...(said.lines ?? []).map((line) => spokenLine(line, true)));
      if (atEnd) lines.scrollTop = lines.scrollHeight;
      streamsOf(said.streams ?? []);
    }
    const next = JSON.stringify((said.shown ?? []).map((each) => [each.node, each.name, each.at]));
    if (next !== thumbs) {
      thumbs = next;
      shown.replaceChildren(...(said.shown ?? []).map(thumbOf));
    }
  };

  const streamsOf = (known) => {
    known.forEach(([node, name, text], place) => {
      let each = streams.children[place];
      if (!each) {
        each = make("div", { className: "dwarf-stream-box" }, make("div", { className: "dwarf-said-node" }), make("pre", { className: "dwarf-stream", tabIndex: 0, role: "log" }));
        streams.append(each);
      }
      const [label, pre] = each.children;
      label.textContent = name ? `${node} · ${name}` : node;
      pre.setAttribute("aria-label", label.textContent);
      const atEnd = pre.scrollTop + pre.clientHeight >= pre.scrollHeight - 8;
      if (pre.textContent !== text) pre.textContent = text;
      if (atEnd) pre.scrollTop = pre.scrollHeight;
    });
    while (streams.children.length > known.length) streams.lastChild.remove();
  };

  /** @param {import("./messages").ShownState} each */
  const thumbOf = (each) => {
    const label = each.name ? `${each.node} · ${each.name}` : each.node;
    const button = make("button", { type: "button", className: "dwarf-thumb", title: label, "aria-label": `display of ${label}` });
    button.append(each.thumb ? make("img", { src: each.thumb, alt: "" }) : make("span", { className: "dwarf-thumb-words", textContent: each.words }), make("span", { className: "dwarf-thumb-label", textContent: label }));
    button.addEventListener("click", () => pick(each.node));
    return button;
  };

  return { root, paint };
}
