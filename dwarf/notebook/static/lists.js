// @ts-check
// What the inbox and the dashboard share: saying whether somebody sees them, clocks, and the table they stand for.

import { followShade } from "./dark.js";
import { make } from "./dom.js";
import { isSending } from "./typing.js";

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

// A text field that reports what is typed when the typing pauses.
export function searchField(label, report) {
  const field = make("input", { type: "search", className: "dwarf-input", placeholder: label, "aria-label": label });
  let timer = 0;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => report(field.value), 250);
  });
  field.addEventListener("keydown", (event) => {
    if (isSending(event)) { event.preventDefault(); clearTimeout(timer); report(field.value); }
  });
  return field;
}

// Keeps the options of a select in step with a list of names; what is chosen stays chosen.
export function fillSelect(select, all, names) {
  const wanted = JSON.stringify(names);
  if (select.dataset.names === wanted) return;
  const chosen = select.value;
  select.dataset.names = wanted;
  const known = chosen && !names.includes(chosen) ? [...names, chosen] : names;
  select.replaceChildren(make("option", { value: "", textContent: all }), ...known.map((name) => make("option", { value: name, textContent: name })));
  select.value = chosen;
}
