// The report as an instrument. Without this script the page shows all that it has: nothing here is
// needed to read it. It loads nothing, and keeps its choices in the fragment of the page's address.
(() => {
"use strict";
const $ = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in element && key !== "style") element[key] = value; else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
};

const source = $("#facts");
const facts = source ? JSON.parse(source.textContent) : { targets: {}, conditions: [] };
const targets = Object.keys(facts.targets);
const FILTERS = ["workload", "load", "connection", "verdict"];
const NONE = "\u2013";

// Numbers as the tables of the page write them (harness/results/format.py).
function count(value) {
  if (value === null || !isFinite(value)) return NONE;
  if (value === 0) return "0";
  const digits = 2 - Math.floor(Math.log10(Math.abs(value)));
  const rounded = Number(value.toPrecision(3));
  return rounded.toLocaleString("en-US", { maximumFractionDigits: Math.min(Math.max(digits, 0), 20) });
}
function time(microseconds) {
  if (microseconds === null || !isFinite(microseconds)) return NONE;
  const [divisor, unit] = microseconds < 1e3 ? [1, "\u00b5s"] : microseconds < 1e6 ? [1e3, "ms"] : [1e6, "s"];
  return `${count(microseconds / divisor)} ${unit}`;
}

// The choices, and the fragment that says them.
const usual = () => ({ show: "rate", workload: "", load: "", connection: "", verdict: "", find: "", on: new Set(), sort: new Map(), at: "" });
let state = usual();

function read() {
  const fragment = location.hash.slice(1);
  if (!fragment.includes("=")) { state.at = decodeURIComponent(fragment); return; }
  const said = new URLSearchParams(fragment);
  state = usual();
  for (const name of ["show", ...FILTERS, "find", "at"]) if (said.has(name)) state[name] = said.get(name);
  if (!all("[data-show]").some((button) => button.dataset.show === state.show)) state.show = "rate";
  for (const name of (said.get("on") || "").split("|")) if (targets.includes(name)) state.on.add(name);
  for (const one of (said.get("sort") || "").split("|")) {
    const [table, column, order] = one.split(".");
    if (order === "ascending" || order === "descending") state.sort.set(Number(table), [Number(column), order]);
  }
}

function write() {
  const said = new URLSearchParams();
  if (state.show !== "rate") said.set("show", state.show);
  for (const name of [...FILTERS, "find"]) if (state[name]) said.set(name, state[name]);
  if (state.on.size) said.set("on", [...state.on].join("|"));
  if (state.sort.size) said.set("sort", [...state.sort].map(([table, [column, order]]) => `${table}.${column}.${order}`).join("|"));
  const plain = state.at ? `#${encodeURIComponent(state.at)}` : location.pathname + location.search;
  if (said.size && state.at) said.set("at", state.at);
  history.replaceState(null, "", said.size ? `#${said}` : plain);
}

// What the filters leave.
const terms = () => state.find.toLowerCase().split(/[\s,]+/).filter(Boolean);
const wanted = (target) => { const words = terms(); return !words.length || words.some((word) => target.toLowerCase().includes(word)); };
const fits = (condition) => ["workload", "load", "connection"].every((name) => !state[name] || condition[name] === state[name]);
const passes = (verdict) => !state.verdict || verdict.split(":")[0] === state.verdict;

// The figure: a row for each target, a point on a log scale with its interval.
function chart() {
  const box = $("#chart");
  if (!box) return 0;
  const button = $(`[data-show="${state.show}"]`);
  const { label, note, unit } = button.dataset;
  const write = unit === "time" ? time : count;
  const less = /less is better/.test(note);
  const parts = facts.conditions.filter(fits).map((condition) => [condition, condition.rows
    .filter((row) => wanted(row.target) && passes(row.verdict))
    .sort((a, b) => compare(a[state.show][0], b[state.show][0], less ? 1 : -1))]).filter(([, rows]) => rows.length);
  const ends = parts.flatMap(([, rows]) => rows.flatMap((row) => {
    const [mid, low, high] = row[state.show];
    return mid === null ? [] : [Math.max(low ?? mid, mid / 3), Math.min(high ?? mid, mid * 3)];
  }));
  const least = Math.min(...ends), span = Math.log(Math.max(...ends) / least) || 1;
  const place = (value) => 2 + 96 * Math.min(Math.max(Math.log(value / least) / span, 0), 1);
  const row = (one) => {
    const [mid, low, high] = one[state.show];
    const interval = low === null ? "" : `95% interval ${write(low)} to ${write(high)}`;
    const said = `${one.target}: ${write(mid)} ${label}${interval && ` (${interval})`}, ${one.verdict}`;
    const track = make("span", { className: "track" });
    if (mid !== null) {
      if (low !== null) track.append(make("i", { className: "span", style: `left:${place(low)}%;width:${place(high) - place(low)}%` }));
      track.append(make("i", { className: "dot", style: `left:${place(mid)}%;background:${facts.targets[one.target]}` }));
    }
    // Its name is what it shows, in that order, with what a figure says without words (WCAG 2.2, 2.5.3).
    const unsaid = (text) => make("span", { className: "said" }, text);
    const element = make("button", { type: "button", className: "bar" }, make("span", { className: "name" }, one.target, unsaid(": ")),
      track, make("span", { className: "value" }, write(mid), unsaid(` ${label}${interval && ` (${interval})`}, `)),
      make("span", { className: `verdict ${one.verdict}` }, one.verdict === "ok" ? unsaid("ok") : one.verdict));
    element.dataset.target = one.target;
    element.dataset.said = said;
    element.setAttribute("aria-pressed", "false");
    return element;
  };
  box.replaceChildren(make("p", { className: "dim" }, `${note[0].toUpperCase()}${note.slice(1)}. The scale is logarithmic; the line is the 95% interval.`),
    ...parts.flatMap(([condition, rows]) => [make("h3", {}, condition.words), ...rows.map(row)]));
  if (!parts.length) box.append(make("p", {}, "Nothing fits these choices."));
  return parts.reduce((sum, [, rows]) => sum + rows.length, 0);
}

// Tables: sorted by their headings, filtered by target, verdict and condition.
const UNITS = { "\u00b5s": 1, ms: 1e3, s: 1e6, min: 6e7, h: 3.6e9, MiB: 1, GiB: 1024, "%": 1 };
function worth(text) {
  const found = text.trim().match(/^[<>\u2265\u00b1~ ]*([+-]?[\d,]*\.?\d+)\s*(\u00b5s|ms|min|s|h|MiB|GiB|%)?/);
  return found ? Number(found[1].replaceAll(",", "")) * (UNITS[found[2]] || 1) : null;
}
// Unknown values come last, whichever the order.
function compare(a, b, order) {
  if (a === null || b === null) return (a === null) - (b === null);
  return (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b) * order;
}

const tables = all("table").filter((table) => table.tHead).map((table, number) => {
  const heads = [...table.tHead.rows[0].cells], rows = [...table.tBodies[0].rows];
  const names = heads.map((cell) => cell.textContent.trim());
  const one = { table, number, heads, rows, verdict: names.indexOf("verdict"), named: false };
  for (const row of rows) {
    const target = row.cells[0].textContent.trim();
    if (facts.targets[target]) { row.dataset.target = target; one.named = true; }
  }
  if (!table.classList.contains("marks")) heads.forEach((cell, column) => sortable(one, cell, column));
  return one;
});

function sortable(one, cell, column) {
  if ($("a", cell) || one.rows.length < 2) return;
  const button = make("button", { type: "button", className: "sort" }, ...cell.childNodes);
  button.addEventListener("click", () => {
    const [before, order] = state.sort.get(one.number) || [];
    const isText = one.rows.every((row) => worth(row.cells[column].textContent) === null);
    const turns = isText ? ["ascending", "descending"] : ["descending", "ascending"];
    const next = before === column ? turns[turns.indexOf(order) + 1] : turns[0];
    if (next) state.sort.set(one.number, [column, next]); else state.sort.delete(one.number);
    show();
  });
  cell.append(button);
}

function sort(one) {
  const [column, order] = state.sort.get(one.number) || [];
  if (column === undefined && !one.sorted) return;
  one.sorted = column !== undefined;
  one.heads.forEach((cell, place) => {
    if (!$("button.sort", cell)) return;
    if (place === column) cell.setAttribute("aria-sort", order); else cell.removeAttribute("aria-sort");
  });
  const text = (row) => row.cells[column].textContent.trim();
  const number = one.rows.some((row) => column !== undefined && worth(text(row)) !== null);
  const key = number ? (row) => worth(text(row)) : (row) => (text(row) === NONE ? null : text(row));
  const rows = column === undefined || !one.heads[column] ? one.rows
    : [...one.rows].sort((a, b) => compare(key(a), key(b), order === "ascending" ? 1 : -1));
  one.table.tBodies[0].append(...rows);
}

// A condition's heading, and what follows it up to the next heading.
const blocks = all("main > h3, main > section > h3").flatMap((heading) => {
  const condition = facts.conditions.find((one) => one.words === heading.textContent.trim());
  if (!condition) return [];
  const parts = [heading];
  for (let next = heading.nextElementSibling; next && !/^(H2|H3|SECTION|SCRIPT)$/.test(next.tagName); next = next.nextElementSibling) parts.push(next);
  return [{ condition, parts }];
});

let filtered = false;
function filter() {
  const filters = Boolean(terms().length || FILTERS.some((name) => state[name]));
  if (!filters && !filtered) return;
  filtered = filters;
  for (const { condition, parts } of blocks) for (const part of parts) part.hidden = !fits(condition);
  for (const one of tables) if (one.named) for (const row of one.rows) {
    const target = row.dataset.target;
    row.hidden = target !== undefined && !(wanted(target) && (one.verdict < 0 || passes(row.cells[one.verdict].textContent.trim())));
  }
}

// Marked targets, wherever they are drawn or named.
let marking = false, others = null;
function mark() {
  if (!marking && !state.on.size) return;  // there are ten thousand elements to visit
  others ??= all("svg .mark").filter((element) => !(element.dataset.target in facts.targets));
  for (const element of others) element.classList.add("other");
  marking = state.on.size > 0;
  document.body.classList.toggle("marking", state.on.size > 0);
  for (const element of all("[data-target]")) {
    const on = state.on.has(element.dataset.target);
    element.classList.toggle("on", on);
    if (element.tagName === "BUTTON") element.setAttribute("aria-pressed", on);
  }
}
function toggle(target) {
  if (!(target in facts.targets)) return;
  if (!state.on.delete(target)) state.on.add(target);
  show();
}

function show() {
  const focused = document.activeElement, old = focused?.classList.contains("bar") ? [focused.dataset.said, all("#chart .bar").indexOf(focused)] : null;
  for (const button of all("[data-show]")) button.setAttribute("aria-pressed", button.dataset.show === state.show);
  for (const field of all("[data-filter]")) if (field.value !== state[field.dataset.filter]) field.value = state[field.dataset.filter];
  const shown = chart();
  if (old) (all("#chart .bar").find((bar) => bar.dataset.said === old[0]) || all("#chart .bar")[old[1]])?.focus({ preventScroll: true });
  filter();
  tables.forEach(sort);
  mark();
  const every = facts.conditions.reduce((sum, condition) => sum + condition.rows.length, 0);
  const status = $("#status");
  if (status) status.textContent = `${shown} of ${every} rows` + (state.on.size ? `, marked: ${[...state.on].join(", ")}` : "");
  write();
}

// What a pointer or the keyboard is on, in words.
const tip = make("div", { id: "tip", role: "tooltip", hidden: true });
document.body.append(tip);
function tell(element, x, y) {
  tip.textContent = element.dataset.said;
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x + 12, document.documentElement.clientWidth - width - 8))}px`;
  tip.style.top = `${y + 16 + height > innerHeight ? y - height - 8 : y + 16}px`;
}
const still = () => { tip.hidden = true; };
document.addEventListener("mousemove", (event) => {
  const title = event.target.closest?.(".mark")?.querySelector(":scope > title");
  if (title) {  // the browser's own tip would stand beside ours
    title.parentElement.dataset.said = title.textContent;
    title.remove();
  }
  const element = event.target.closest?.("[data-said]");
  if (element) tell(element, event.clientX, event.clientY); else still();
});
document.addEventListener("mouseleave", still);
function tellFocused() {
  const element = document.activeElement?.closest("[data-said]");
  if (!element || !element.matches(":focus-visible")) { still(); return; }
  const { left, bottom } = element.getBoundingClientRect();
  tell(element, left, bottom - 12);
}
document.addEventListener("focusin", tellFocused);
document.addEventListener("scroll", tellFocused, { passive: true });
document.addEventListener("keydown", (event) => { if (event.key === "Escape") still(); });
document.addEventListener("click", (event) => {
  if (event.target.closest("a, summary, .sort")) return;
  const marked = event.target.closest("svg .mark, button[data-target], td:first-child");
  const target = marked && (marked.dataset.target ?? marked.parentElement.dataset.target);
  if (target !== undefined && target !== null) toggle(target);
});

// The controls.
function choices(name, values) {
  const field = $(`[data-filter="${name}"]`), different = [...new Set(values)];
  field.append(new Option("all", ""), ...different.map((value) => new Option(value, value)));
  field.closest("label").hidden = different.length < 2;
}
if (source) {
  for (const name of ["workload", "load", "connection"]) choices(name, facts.conditions.map((one) => one[name]));
  choices("verdict", facts.conditions.flatMap((one) => one.rows.map((row) => row.verdict)));
  $("#marks .chips").append(...targets.map((target) => {
    const chip = make("button", { type: "button" }, make("i", { style: `background:${facts.targets[target]}` }), target);
    chip.dataset.target = target;
    chip.setAttribute("aria-pressed", "false");
    return chip;
  }));
  for (const button of all("[data-show]")) button.addEventListener("click", () => { state.show = button.dataset.show; show(); });
  for (const field of all("[data-filter]")) field.addEventListener("input", () => { state[field.dataset.filter] = field.value; show(); });
  $("#reset").addEventListener("click", () => { const { show: metric, at } = state; state = { ...usual(), show: metric, at }; show(); });
  for (const id of ["explore", "controls", "chart"]) $(`#${id}`).hidden = false;
}
document.documentElement.classList.add("live");

// Where a figure is wider than the page, the keyboard has to reach it to move it.
const narrow = matchMedia("(max-width: 36rem)");
function reachable() {
  for (const box of all(".scroll[role=img]")) if (narrow.matches) box.tabIndex = 0; else box.removeAttribute("tabindex");
}
narrow.addEventListener("change", reachable);
reachable();

function arrive(scroll) {
  read();
  for (const name of FILTERS) {
    const field = $(`[data-filter="${name}"]`);
    if (field && ![...field.options].some((option) => option.value === state[name])) state[name] = "";
  }
  show();
  const place = scroll && state.at && document.getElementById(state.at);
  if (place) { place.closest("details")?.setAttribute("open", ""); place.scrollIntoView(); }
}
addEventListener("hashchange", () => arrive(true));
arrive(location.hash.includes("="));
})();
