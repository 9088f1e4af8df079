// @ts-check
// The live view of a run: its picture, the panel of what was picked, what can be done with the flow, and its prompts.

import { attention } from "./attention.js";
import { cardKeeper } from "./card.js";
import { followShade } from "./dark.js";
import { deskOf, tell } from "./desk.js";
import { make } from "./dom.js";
import { earlierKeeper } from "./earlier.js";
import { watchKernel } from "./life.js";
import { panelKeeper } from "./panel.js";
import { pictureKeeper } from "./picture.js";
import { saidKeeper } from "./said.js";
import { stopCards } from "./stops.js";
import { ownKeys } from "./typing.js";

const USED_EVERY = 10_000; // milliseconds between two signs that somebody reads what is shown

function toolBar(desk, model) {
  const bar = make("div", { className: "dwarf-tools" });
  const said = make("div", { className: "dwarf-note", role: "status" });
  let kind = "";
  const act = async (button, message) => {
    button.disabled = true;
    try { tell(said, await desk.ask(message)); } catch (fault) { said.textContent = fault.message; said.classList.add("dwarf-wrong"); }
    button.disabled = false;
  };
  const confirm = () => {
    const reason = make("input", { className: "dwarf-input", type: "text", "aria-label": "reason", placeholder: "reason, if you like" });
    const yes = make("button", { type: "button", textContent: "Cancel the flow", className: "dwarf-act dwarf-danger" });
    const no = make("button", { type: "button", textContent: "Let it go on", className: "dwarf-act" });
    const back = () => { kind = ""; update(); bar.querySelector("button")?.focus(); };
    no.addEventListener("click", back);
    yes.addEventListener("click", async () => { await act(yes, { do: "cancel", reason: reason.value }); back(); });
    bar.replaceChildren(make("span", { textContent: "Cancel this flow? What it has done is kept; what runs now is discarded." }), reason, yes, no);
    yes.focus();
  };
  const update = () => {
    /** @type {Partial<import("./messages").FlowState>} */
    const flow = model.get("flow") ?? {};
    const state = model.get("theme").states[flow.state];
    const next = flow.ended ? `ended ${state}` : "running";
    if (next === kind || flow.state === undefined) return;
    kind = next;
    const buttons = [];
    const button = (label, call, more = "") => {
      const node = make("button", { type: "button", textContent: label, className: `dwarf-act ${more}` });
      node.addEventListener("click", () => call(node));
      buttons.push(node);
    };
    if (!flow.ended) button("Cancel…", confirm, "dwarf-quiet");
    else {
      if (state === "failed" || state === "cancelled") button("Retry failed", (node) => act(node, { do: "retry" }));
      button("Keep as picture", () => desk.send({ type: "done" }), "dwarf-quiet");
    }
    bar.replaceChildren(...buttons);
  };
  return { bar, said, update, act };
}

export function renderRun({ model, el }) {
  const box = make("div", { className: "dwarf-picture" });
  const drift = make("ul", { className: "dwarf-drift", role: "note", "aria-label": "redefined since this flow began" });
  const fault = make("div", { className: "dwarf-fault", role: "alert" });
  const asks = make("div", { className: "dwarf-cards" });
  const said = make("div", { className: "dwarf-said", role: "status", "aria-live": "polite" });
  const root = make("div", { className: "dwarf-run" });
  root.dataset.dwarfFlow = (model.get("theme") ?? {}).flow ?? "";
  ownKeys(root);
  const life = watchKernel(model, root, {
    kept: Boolean((model.get("theme") ?? {}).kept),
    gone: () => waits.set([]),
    back: () => { keeper.release(); ask(); paint(); },
  });
  const desk = deskOf(life);
  const picture = pictureKeeper(model, box, {
    pick: (path) => panel.open(path),
    unfold: (path) => desk.ask({ do: "unfold", node: path }).catch((why) => { fault.textContent = why.message; }),
    now: life.now,
  });
  const panel = panelKeeper(model, desk, picture);
  const tools = toolBar(desk, model);
  // The tools are seen above the picture, and reached after it.
  const heard = saidKeeper(model, (name) => {
    const path = picture.find(name);
    if (path !== undefined) panel.open(path);
  });
  const main = make("div", { className: "dwarf-main-part" }, box, drift, fault, heard.root);
  const bar = make("div", { className: "dwarf-over" }, tools.bar, tools.said, picture.zooms);
  const side = make("div", { className: "dwarf-side" }, panel.root, asks);
  const earlier = earlierKeeper(model, desk, { now: life.now, shade: picture.shade });
  root.append(earlier.root, make("div", { className: "dwarf-stage" }, picture.line, main, bar, side), said);
  el.append(root);
  const keeper = cardKeeper(asks, life.send, stopCards(desk));
  const waits = attention();

  const paint = () => {
    /** @type {Partial<import("./messages").FlowState>} */
    const flow = model.get("flow") ?? {};
    picture.paint();
    const word = picture.word();
    if (said.textContent !== word) said.textContent = word;
    if (fault.textContent !== (flow.error ?? "")) fault.textContent = flow.error ?? "";
    const notes = flow.drift ?? [];
    const told = JSON.stringify([notes, flow.regraph]);
    if (drift.dataset.told !== told) {
      drift.dataset.told = told;
      const lines = notes.map((note) => make("li", { textContent: note }));
      if (flow.regraph) {
        const go = make("button", { type: "button", className: "dwarf-act", textContent: "Go on with the new graph" });
        go.addEventListener("click", () => tools.act(go, { do: "regraph" }));
        lines.push(make("li", {}, go));
      }
      drift.replaceChildren(...lines);
    }
    tools.update();
    heard.paint();
    earlier.paint();
    panel.refresh();
    tick();
  };
  const tick = () => {
    if (document.hidden || life.isLost()) return;
    picture.tick();
    keeper.tick(life.now());
    earlier.tick();
  };
  const layOut = () => { picture.layOut(); paint(); panel.chosen(); };
  const ask = () => waits.set((model.get("cards") ?? []).filter((card) => !card.closed && !card.stop && !life.isLost()).map((card) => ({ key: card.key, title: card.title, where: card.node })));
  const cards = () => { keeper.show(model.get("cards") ?? []); ask(); tick(); };
  const unshade = followShade(root, () => { layOut(); life.sign("here"); });
  let used = 0;
  const use = () => {
    if (Date.now() - used < USED_EVERY) return;
    used = Date.now();
    life.send({ type: "used" });
  };
  for (const kind of ["pointermove", "focusin", "keydown"]) root.addEventListener(kind, use);
  const told = () => {
    life.setClock((model.get("flow") ?? {}).now);
    life.hear();
    paint();
  };

  life.setClock((model.get("flow") ?? {}).now);
  layOut();
  cards();
  const handlers = { "change:svg": layOut, "change:planes": told, "change:flow": told, "change:said": () => { heard.paint(); panel.refresh(); }, "change:cards": cards, "change:earlier": earlier.paint, "msg:custom": desk.receive };
  for (const [name, call] of Object.entries(handlers)) model.on(name, call);
  const timer = setInterval(() => { if (!(model.get("flow") ?? {}).ended) tick(); }, 500);
  life.ready(); // from now on somebody can see and answer
  return () => {
    clearInterval(timer);
    waits.leave();
    life.stop();
    picture.stop();
    unshade();
    for (const [name, call] of Object.entries(handlers)) model.off(name, call);
  };
}

// A model within another one's: its traits have a prefix there, and its messages travel in messages of a kind.
export function partModel(model, prefix, kind) {
  const known = [];
  return {
    get: (name) => model.get(prefix + name),
    on(name, call) {
      const real = name.replace("change:", `change:${prefix}`);
      const own = name !== "msg:custom" ? call : (message, buffers) => {
        if (message.type === kind) call(message.message, buffers);
        else if (message.type === "beat") call(message, buffers);
      };
      known.push({ name, call, real, own });
      model.on(real, own);
    },
    off(name, call) {
      for (const each of known.filter((one) => one.name === name && one.call === call)) model.off(each.real, each.own);
    },
    send: (message) => model.send({ type: kind, message }),
  };
}

export default { render: renderRun };
