// @ts-check
// How many questions wait stands in the page's title, and where the reader allows it the browser tells of new ones.
// A flow at a breakpoint asks nothing, so the views leave its card out.
// Every view has a module of its own; what they share is kept with the page.

import { make } from "./dom.js";

const SETTING = "dwarf-notify"; // in the browser's own store: off unless the reader has switched it on
const TITLE_EVERY = 2000; // milliseconds: a front end writes the title anew

/**
 * @typedef {{ key: string, title: string, where: string }} Question
 * @typedef {{ views: Map<object, { questions: Question[], count: number }>, told: Set<string> | null, put: string, timer: number }} Shared
 */

/** @returns {Shared} */
function sharedAttention() {
  const page = /** @type {any} */ (globalThis);
  page.dwarfAttention ??= { views: new Map(), told: null, put: "", timer: 0 };
  return page.dwarfAttention;
}

function putTitle() {
  const shared = sharedAttention();
  const keys = new Set();
  let most = 0;
  for (const { questions, count } of shared.views.values()) {
    for (const each of questions) keys.add(each.key);
    most = Math.max(most, count);
  }
  const waiting = Math.max(keys.size, most);
  const bare = shared.put && document.title.startsWith(shared.put) ? document.title.slice(shared.put.length) : document.title;
  shared.put = waiting ? `(${waiting}) ` : "";
  if (document.title !== shared.put + bare) document.title = shared.put + bare;
  if (waiting && !shared.timer) shared.timer = window.setInterval(putTitle, TITLE_EVERY);
  if (!waiting && shared.timer) {
    clearInterval(shared.timer);
    shared.timer = 0;
  }
}

function isNotifying() {
  try {
    return "Notification" in window && Notification.permission === "granted" && localStorage.getItem(SETTING) === "on";
  } catch {
    return false; // a page that may keep nothing
  }
}

/** @param {Question[]} fresh */
function notify(fresh) {
  if (!fresh.length || !isNotifying() || (document.visibilityState === "visible" && document.hasFocus())) return;
  const [first, ...more] = fresh;
  const told = new Notification(first.title, {
    body: [first.where, more.length ? `and ${more.length} more` : ""].filter(Boolean).join(" "),
    tag: `dwarf-${first.key}`,
  });
  told.onclick = () => { window.focus(); told.close(); };
}

/**
 * What a view adds: the questions it shows, and where it knows no more than that how many wait.
 */
export function attention() {
  const own = {};
  const shared = sharedAttention();
  let begun = false;
  return {
    /** @param {Question[]} questions @param {number} [count] */
    set(questions, count = 0) {
      shared.views.set(own, { questions, count });
      const told = (shared.told ??= new Set());
      const fresh = questions.filter(({ key }) => !told.has(key));
      for (const { key } of fresh) told.add(key);
      if (begun) notify(fresh); // what waits already when the page is opened is seen there
      begun = true;
      putTitle();
    },
    leave() {
      shared.views.delete(own);
      putTitle();
    },
  };
}

/** The switch by which the reader has the browser tell of new questions. Off at first. */
export function notifySwitch() {
  const box = make("input", { type: "checkbox", checked: isNotifying() });
  const said = make("span", { className: "dwarf-where", "aria-live": "polite" });
  box.addEventListener("change", async () => {
    said.textContent = "";
    try {
      if (box.checked && (await Notification.requestPermission()) !== "granted") {
        box.checked = false;
        said.textContent = " The browser does not allow it for this page.";
      }
      localStorage.setItem(SETTING, box.checked ? "on" : "off");
    } catch {
      box.checked = false;
      said.textContent = " This browser cannot.";
    }
  });
  return make("span", { className: "dwarf-notify", hidden: !("Notification" in window) },
    make("label", { title: "when a question comes while this page is not in front" }, box, " Tell me of new questions"), said);
}
