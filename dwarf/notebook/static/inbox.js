// @ts-check
// The inbox: a card for every prompt that waits, oldest first.

import { attention, notifySwitch } from "./attention.js";
import { cardKeeper } from "./card.js";
import { deskOf } from "./desk.js";
import { make } from "./dom.js";
import { watchKernel } from "./life.js";
import { filterFields, keepShown } from "./lists.js";
import { stopCards } from "./stops.js";
import { ownKeys } from "./typing.js";

function render({ model, el }) {
  const count = make("span", { className: "dwarf-question", role: "status", "aria-live": "polite" });
  const root = make("div", { className: "dwarf-run dwarf-inbox", role: "region", "aria-label": "Inbox" });
  const life = watchKernel(model, root, { kept: model.get("fixed").kept, gone: () => waits.set([]), back: () => { keeper.release(); filters.back(); paint(); } });
  const waits = attention();
  const filters = filterFields(model, life, "Search prompts");
  const head = make("div", { className: "dwarf-bar-line" }, count, make("div", { className: "dwarf-filters" }, notifySwitch(), ...filters.nodes));
  const fault = make("div", { className: "dwarf-error", role: "alert" });
  const box = make("div", { className: "dwarf-cards" });
  const empty = make("div", { className: "dwarf-empty" });
  root.append(head, fault, box, empty);
  ownKeys(root);
  el.append(root);

  const desk = deskOf(life);
  model.on("msg:custom", desk.receive);
  const keeper = cardKeeper(box, life.send, stopCards(desk));
  // After an answer given here the next question is at hand.
  box.addEventListener("dwarf-closed", () => {
    box.querySelector(".dwarf-card:not(.dwarf-closed) :is(input, select, textarea, button):not(:disabled)")?.focus();
  });
  const paint = () => {
    /** @type {import("./messages").InboxState} */
    const shown = model.get("shown");
    if (count.textContent !== shown.title) count.textContent = shown.title;
    fault.textContent = shown.fault;
    empty.textContent = shown.empty;
    filters.paint();
    keeper.show(shown.cards);
    waits.set(shown.cards.filter((card) => !card.closed && !card.stop).map((card) => ({ key: card.key, title: card.title, where: card.node })));
  };
  const stop = keepShown(model, root, life, paint, () => keeper.tick(life.now()));
  return () => {
    waits.leave();
    model.off("msg:custom", desk.receive);
    stop();
  };
}

export default { render };
