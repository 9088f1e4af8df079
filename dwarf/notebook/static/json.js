// @ts-check
// JSON as a tree that loses nothing: numbers keep their digits, fields their order, and tagged values their text.

/**
 * A value: of texts the text, of numbers their digits, of lists and objects their parts. A tagged value, as dates and
 * frames are, keeps the text it came as.
 *
 * @typedef {{ kind: "text" | "number" | "truth" | "null" | "list" | "fields" | "tag", text: string, items: Part[] }} Value
 * @typedef {{ name: string, value: Value }} Part
 */

const TOKEN = {
  string: /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y,
  number: /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])/y,
  word: /(?:true|false|null)(?!\w)/y,
  space: /[ \t\r\n]*/y,
};
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** @param {string} text */
export const isNumber = (text) => NUMBER.test(text);

/**
 * A value of a kind, empty where nothing is given.
 *
 * @param {Value["kind"]} kind
 * @param {string} [text]
 * @param {Part[]} [items]
 * @returns {Value}
 */
export const valueOf = (kind, text = "", items = []) => ({ kind, text, items });

/**
 * Read a text of JSON. Where it is none, `fault` tells in words at which place.
 *
 * @param {string} text
 * @returns {{ value: Value | null, fault: string }}
 */
export function readJson(text) {
  let at = 0;
  /** @param {RegExp} pattern @returns {string | null} */
  const take = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at = pattern.lastIndex;
    return found ? found[0] : null;
  };
  /** @param {RegExp} pattern @returns {string} */
  const need = (pattern) => {
    const found = take(pattern);
    if (found === null) throw new RangeError();
    return found;
  };
  /** @param {() => Part} item @param {RegExp} close @returns {Part[]} */
  const parts = (item, close) => {
    /** @type {Part[]} */
    const found = [];
    take(TOKEN.space);
    if (take(close)) return found;
    do { take(TOKEN.space); found.push(item()); take(TOKEN.space); } while (take(/,/y));
    need(close);
    return found;
  };
  /** @returns {Part} */
  const field = () => {
    const name = JSON.parse(need(TOKEN.string));
    take(TOKEN.space);
    need(/:/y);
    return { name, value: value() };
  };
  /** @returns {Value} */
  const value = () => {
    take(TOKEN.space);
    const begun = at;
    if (take(/\{/y)) {
      const items = parts(field, /\}/y);
      return items.some((each) => each.name === "$dwarf") ? valueOf("tag", text.slice(begun, at), items) : valueOf("fields", "", items);
    }
    if (take(/\[/y)) return valueOf("list", "", parts(() => ({ name: "", value: value() }), /\]/y));
    const string = take(TOKEN.string);
    if (string !== null) return valueOf("text", JSON.parse(string));
    const word = take(TOKEN.word);
    if (word !== null) return word === "null" ? valueOf("null") : valueOf("truth", word);
    return valueOf("number", need(TOKEN.number));
  };
  try {
    const found = value();
    take(TOKEN.space);
    if (at < text.length) throw new RangeError();
    return { value: found, fault: "" };
  } catch (why) {
    if (!(why instanceof RangeError)) throw why;
    if (at >= text.trimEnd().length) return { value: null, fault: "Not JSON: it ends too soon" };
    const before = text.slice(0, at).split("\n");
    return { value: null, fault: `Not JSON: line ${before.length}, column ${(before.at(-1) ?? "").length + 1}, at ${JSON.stringify(text[at])}` };
  }
}

/**
 * The text of a value, for people.
 *
 * @param {Value} value
 * @returns {string}
 */
export function writeJson(value, indent = "") {
  if (value.kind === "text") return JSON.stringify(value.text);
  if (value.kind === "null") return "null";
  if (value.kind !== "list" && value.kind !== "fields") return value.text;
  const [open, close] = value.kind === "list" ? "[]" : "{}";
  if (!value.items.length) return open + close;
  const inner = `${indent}  `;
  const lines = value.items.map((each) => `${inner}${value.kind === "fields" ? `${JSON.stringify(each.name)}: ` : ""}${writeJson(each.value, inner)}`);
  return `${open}\n${lines.join(",\n")}\n${indent}${close}`;
}
