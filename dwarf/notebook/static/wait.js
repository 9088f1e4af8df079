// @ts-check
// The line under a cell that waits for a run which another cell shows: the flow, its status, and what is asked. Where the
// page has a view of the run, a button leads to it; where it has none, as in front ends that keep only the cells in sight,
// the question stands here.

import { cardKeeper } from "./card.js";
import { followShade } from "./dark.js";
import { deskOf, tell } from "./desk.js";
import { make } from "./dom.js";
import { earlierKeeper } from "./earlier.js";
import { watchKernel } from "./life.js";
import { flowLine, paintFlow, shades } from "./picture.js";
import { stopCards } from "./stops.js";
import { ownKeys } from "./typing.js";

const PATIENCE = 1500; // ms: a view of the run in another cell is drawn by then, so that its question does not come and go here

function renderWait({ model, el }) {
  const root = make("div", { className: "dwarf-run dwarf-waits" });
  ownKeys(root);
  const life = watchKernel(model, root, {
    kept: Boolean((model.get("theme") ?? {}).kept),
    back: () => { keeper.release(); paint(); },
  });
  const desk = deskOf(life);
  const line = flowLine(model.get("name"));
  const place = make("span", { className: "dwarf-where" });
  const show = make("button", { type: "button", className: "dwarf-act", textContent: "Show", title: "Go to the run, or show it here" });
  const said = make("span", { className: "dwarf-note", role: "status" });
  const label = (model.get("theme") ?? {}).flow;
  const other = () => [...document.querySelectorAll(`.dwarf-run[data-dwarf-flow="${label}"]`)].find((each) => each.getClientRects().length > 0);
  let touched = false; // whether somebody has begun to answer here
  let alone = 0; // since when no other view is in the page, by performance.now()
  show.addEventListener("click", async () => {
    const view = other();
    if (view) {
      const aim = view.querySelector(".dwarf-card form") ?? view;
      aim.scrollIntoView({ block: "center" });
      const first = /** @type {HTMLElement | null} */ (aim.querySelector("input, select, textarea, button") ?? view.querySelector("[tabindex='0'], button"));
      first?.focus({ preventScroll: true });
      return;
    }
    show.disabled = true;
    try { tell(said, await desk.ask({ do: "show" })); } catch (fault) { said.textContent = fault.message; }
    show.disabled = false;
  });
  const asks = make("div", { className: "dwarf-cards" });
  asks.addEventListener("focusin", () => { touched = true; });
  const keeper = cardKeeper(asks, life.send, stopCards(desk));
  let shade = shades(model.get("theme"));
  const earlier = earlierKeeper(model, desk, { now: life.now, shade: () => shade });
  line.root.append(place, show, said);
  root.append(line.root, earlier.root, asks);
  el.append(root);

  const tick = () => {
    if (document.hidden || life.isLost()) return;
    const cards = /** @type {import("./messages").CardState[]} */ (model.get("cards") ?? []);
    touched &&= cards.length > 0;
    alone = other() ? 0 : alone || performance.now();
    const elsewhere = !touched && (!alone || performance.now() - alone < PATIENCE);
    keeper.show(elsewhere ? [] : cards);
    const where = model.get("place");
    const more = cards.length > 1 ? ` and ${cards.length - 1} more` : "";
    const text = cards.length ? (elsewhere ? `“${cards[0].title}”${more}` : "") : where ? `at ${where}` : "";
    if (place.textContent !== text) place.textContent = text;
    const next = cards.length && elsewhere && !cards[0].stop ? "Answer" : "Show";
    if (show.textContent !== next) show.textContent = next;
    paintFlow(null, line, model.get("flow") ?? {}, shade, life.now());
    keeper.tick(life.now());
    earlier.tick();
  };
  const paint = () => {
    earlier.paint();
    tick();
  };
  const told = () => {
    life.setClock((model.get("flow") ?? {}).now);
    life.hear();
    paint();
  };
  const unshade = followShade(root, () => { shade = shades(model.get("theme")); life.sign("here"); paint(); });
  life.setClock((model.get("flow") ?? {}).now);
  paint();
  const handlers = { "change:flow": told, "change:cards": paint, "change:place": paint, "change:earlier": paint, "msg:custom": desk.receive };
  for (const [name, call] of Object.entries(handlers)) model.on(name, call);
  const timer = setInterval(() => { if (!(model.get("flow") ?? {}).ended) tick(); }, 500);
  life.ready();
  return () => {
    clearInterval(timer);
    life.stop();
    unshade();
    for (const [name, call] of Object.entries(handlers)) model.off(name, call);
  };
}

export default { render: renderWait };
