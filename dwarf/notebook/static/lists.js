// @ts-check
// What the inbox and the dashboard share: saying whether somebody sees them, clocks, and the table they stand for.

import { followShade } from "./dark.js";
import { make } from "./dom.js";
import { isSending } from "./typing.js";

const PAUSE = 250; // milliseconds after the last key until what is typed is looked for

let lastView = 0;

// Paints what is shown now and whenever it changes, and has the clocks go on. Returns what ends that.
export function keepShown(model, root, life, paint, tick) {
  const beat = () => { if (!document.hidden && !life.isLost()) tick(); };
  const told = () => {
    life.setClock(model.get("shown").now);
    life.hear();
    paint();
    beat();
  };
  paint();
  beat();
  model.on("change:shown", told);
  const timer = setInterval(beat, 500);
  const unshade = followShade(root);
  const stop = watchSight(model, root, life);
  life.ready();
  return () => {
    clearInterval(timer);
    stop();
    unshade();
    life.stop();
    model.off("change:shown", told);
  };
}

// Tells the kernel whether `root` is in sight, and hides the table that stands in for the widget in a saved notebook.
function watchSight(model, root, life) {
  const view = `${Date.now().toString(36)}-${++lastView}`;
  const still = model.get("fixed").still;
  const style = make("style", { textContent: `.jp-OutputArea-child:has(.${still}), .${still} { display: none }` });
  document.head.append(style);
  let inSight = true;
  let last = null;
  const tell = (again) => {
    const on = inSight && !document.hidden;
    if (on === last && !(again && on)) return;
    last = on;
    life.send({ type: "seen", view, on });
  };
  const observer = new IntersectionObserver((entries) => { inSight = entries.at(-1).isIntersecting; tell(false); });
  observer.observe(root);
  const change = () => tell(false);
  document.addEventListener("visibilitychange", change);
  const timer = setInterval(() => tell(true), 10000);
  tell(false);
  return () => {
    clearInterval(timer);
    observer.disconnect();
    document.removeEventListener("visibilitychange", change);
    style.remove();
    life.send({ type: "seen", view, on: false });
  };
}

/**
 * The fields that narrow a list: a workflow, and a text to look for. What a reader sets is sent when the typing pauses,
 * and where the kernel is silent as soon as it is heard again; the field keeps it until the state says the same. Else the
 * fields show what the list is narrowed by, whoever has set it: another view, or this page before it was loaded again.
 *
 * @param {{ get: (name: string) => any }} model
 * @param {{ send: (message: object) => void, isLost: () => boolean }} life
 * @param {string} label of the text field
 */
export function filterFields(model, life, label) {
  const search = make("input", { type: "search", className: "dwarf-input", placeholder: label, "aria-label": label });
  const workflow = make("select", { className: "dwarf-input", "aria-label": "Workflow" });
  /** @type {Record<string, { value: string, sent: boolean, old: Set<string> }>} what has been set here and the state does not say yet */
  const own = {};
  let timer = 0;
  const known = (name) => model.get("shown")[name] ?? "";
  const hold = (name, value) => { own[name] = { value, sent: false, old: own[name]?.old ?? new Set() }; };
  const send = (name) => {
    if (name === "search") clearTimeout(timer);
    if (life.isLost()) return;
    const { value, old } = own[name];
    own[name].sent = true;
    old.add(known(name)).add(value); // states that say these may be older than what is sent now
    life.send({ type: "filter", [name]: value });
  };
  search.addEventListener("input", () => {
    hold("search", search.value);
    clearTimeout(timer);
    timer = setTimeout(send, PAUSE, "search");
  });
  search.addEventListener("keydown", (event) => {
    if (!isSending(event)) return;
    event.preventDefault();
    hold("search", search.value);
    send("search");
  });
  workflow.addEventListener("change", () => {
    hold("workflow", workflow.value);
    send("workflow");
  });
  const paint = () => {
    for (const name of Object.keys(own)) {
      const { value, sent, old } = own[name];
      if (sent && (known(name) === value || !old.has(known(name)))) delete own[name];
    }
    fillSelect(workflow, "All workflows", model.get("shown").workflows, own.workflow?.value ?? known("workflow"));
    if (!own.search && search.value !== known("search")) search.value = known("search");
  };
  return {
    nodes: [workflow, search],
    paint,
    /** Show one workflow alone. @param {string} name */
    narrow(name) {
      hold("workflow", name);
      send("workflow");
      paint();
    },
    /** Send what the kernel did not hear, or may not have heard. */
    back: () => Object.keys(own).forEach(send),
  };
}

// Keeps the options of a select in step with a list of names, and one of them chosen, whether it is in the list or not.
function fillSelect(select, all, names, chosen) {
  const known = chosen && !names.includes(chosen) ? [...names, chosen] : names;
  const wanted = JSON.stringify(known);
  if (select.dataset.names !== wanted) {
    select.dataset.names = wanted;
    select.replaceChildren(make("option", { value: "", textContent: all }), ...known.map((name) => make("option", { value: name, textContent: name })));
  }
  if (select.value !== chosen) select.value = chosen;
}
