// The live view of a run: its picture, the panel of what was picked, what can be done with the flow, and its prompts.

const SIGN_EVERY = 10_000; // milliseconds between two signs that somebody is looking

function toolBar(desk, model) {
  const bar = make("div", { className: "dwarf-tools" });
  const said = make("div", { className: "dwarf-note", role: "status" });
  const line = make("div", { className: "dwarf-line" }, bar, said);
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
  return { line, update };
}

function render({ model, el }) {
  const box = make("div", { className: "dwarf-picture" });
  const drift = make("ul", { className: "dwarf-drift", role: "note", "aria-label": "redefined since this flow began" });
  const fault = make("div", { className: "dwarf-fault", role: "alert" });
  const asks = make("div", { className: "dwarf-cards" });
  const said = make("div", { className: "dwarf-said", role: "status", "aria-live": "polite" });
  const desk = deskOf(model);
  const picture = pictureKeeper(model, box, {
    pick: (path) => panel.open(path),
    unfold: (path) => desk.ask({ do: "unfold", node: path }).catch((why) => { fault.textContent = why.message; }),
  });
  const panel = panelKeeper(model, desk, picture);
  const tools = toolBar(desk, model);
  const root = make("div", { className: "dwarf-run" }, box, drift, fault, tools.line, panel.root, asks, said);
  root.dataset.lmSuppressShortcuts = "true"; // keys pressed here are the view's, not commands of the notebook
  el.append(root);
  const keeper = cardKeeper(asks, (message) => model.send(message));

  const paint = () => {
    const flow = model.get("flow") ?? {};
    picture.paint();
    const word = picture.word();
    if (said.textContent !== word) said.textContent = word;
    if (fault.textContent !== (flow.error ?? "")) fault.textContent = flow.error ?? "";
    const notes = flow.drift ?? [];
    if (drift.dataset.told !== JSON.stringify(notes)) {
      drift.dataset.told = JSON.stringify(notes);
      drift.replaceChildren(...notes.map((note) => make("li", { textContent: note })));
    }
    tools.update();
    panel.refresh();
    tick();
  };
  const tick = () => {
    if (document.hidden) return;
    picture.tick();
    keeper.tick(picture.now());
  };
  const layOut = () => { picture.layOut(); paint(); panel.chosen(); };
  const cards = () => { keeper.show(model.get("cards") ?? []); tick(); };
  let wasDark = pageIsDark();
  const dark = new MutationObserver(() => {
    if (pageIsDark() === wasDark) return;
    wasDark = !wasDark;
    layOut();
  });
  dark.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "class"] });
  let signed = 0;
  const sign = () => {
    if (Date.now() - signed < SIGN_EVERY) return;
    signed = Date.now();
    desk.send({ type: "here" });
  };
  for (const kind of ["pointermove", "focusin", "keydown"]) root.addEventListener(kind, sign);

  layOut();
  cards();
  const handlers = { "change:svg": layOut, "change:planes change:flow": paint, "change:cards": cards, "msg:custom": desk.receive };
  for (const [names, call] of Object.entries(handlers)) model.on(names, call);
  const timer = setInterval(() => { if (!(model.get("flow") ?? {}).ended) tick(); }, 500);
  model.send({ type: "ready" }); // from now on somebody can see and answer
  return () => {
    clearInterval(timer);
    dark.disconnect();
    for (const [names, call] of Object.entries(handlers)) model.off(names, call);
  };
}

export default { render };
