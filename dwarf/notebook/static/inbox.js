// The inbox: a card for every prompt that waits, oldest first.

function render({ model, el }) {
  const count = make("span", { className: "dwarf-question", role: "status", "aria-live": "polite" });
  const said = (message) => model.send(message);
  const search = searchField("Search prompts", (text) => said({ type: "filter", search: text }));
  const workflow = make("select", { className: "dwarf-input", "aria-label": "Workflow" });
  workflow.addEventListener("change", () => said({ type: "filter", workflow: workflow.value }));
  const head = make("div", { className: "dwarf-bar-line" }, count, make("div", { className: "dwarf-filters" }, workflow, search));
  const fault = make("div", { className: "dwarf-error", role: "alert" });
  const box = make("div", { className: "dwarf-cards" });
  const empty = make("div", { className: "dwarf-empty" });
  const root = make("div", { className: "dwarf-run dwarf-inbox", role: "region", "aria-label": "Inbox" }, head, fault, box, empty);
  root.dataset.lmSuppressShortcuts = "true";
  el.append(root);

  const keeper = cardKeeper(box, (message) => model.send(message));
  // After an answer given here the next question is at hand.
  box.addEventListener("dwarf-closed", () => {
    box.querySelector(".dwarf-card:not(.dwarf-closed) :is(input, select, textarea, button):not(:disabled)")?.focus();
  });
  let skew = 0;
  const paint = () => {
    const shown = model.get("shown");
    skew = Date.now() / 1000 - shown.now;
    if (count.textContent !== shown.title) count.textContent = shown.title;
    fault.textContent = shown.fault;
    empty.textContent = shown.empty;
    fillSelect(workflow, "All workflows", shown.workflows);
    keeper.show(shown.cards);
    tick();
  };
  const tick = () => { if (!document.hidden) keeper.tick(Date.now() / 1000 - skew); };
  return keepShown(model, root, paint, tick);
}

export default { render };
