// @ts-check
// What a view asks of the kernel: a message with a number, which is checked there, and answered under that number.

import { make } from "./dom.js";

/**
 * The asking side of a view. `receive` has to be given what comes as a message.
 *
 * @param {{ send: (message: object) => void }} life
 */
export function deskOf(life) {
  const waiting = new Map();
  let last = Math.floor(Math.random() * 2 ** 40); // replies reach every view of the widget
  return {
    send: life.send,
    receive(reply) {
      if (reply?.type !== "reply" || !waiting.has(reply.ask)) return;
      const { give, refuse } = waiting.get(reply.ask);
      waiting.delete(reply.ask);
      if (reply.fault) refuse(new Error(reply.fault));
      else give(reply);
    },
    ask(message) {
      const ask = ++last;
      return new Promise((give, refuse) => {
        waiting.set(ask, { give, refuse });
        life.send({ type: "ask", ask, ...message });
      });
    },
    pending: () => waiting.size > 0,
  };
}

// What has come of an action: words, and the call that finds the new run.
/**
 * @param {HTMLElement} box
 * @param {import("./messages").ActionReply} reply
 */
export function tell(box, reply) {
  box.classList.remove("dwarf-wrong");
  box.replaceChildren(reply.said ?? "");
  if (reply.find) box.append(" ", make("code", { textContent: reply.find }));
}
