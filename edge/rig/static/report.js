"use strict";
// One axis for all rows: each is an SVG whose viewBox is the time that is shown, in seconds.
const plots = document.querySelector(".plots");
const axis = plots.querySelector(".axis");
const shade = plots.querySelector(".shade");
const cursor = plots.querySelector(".cursor");
const said = document.querySelector(".shown");
const svgs = [...plots.querySelectorAll("svg")];
const first = Number(plots.dataset.from);
const last = Number(plots.dataset.until);
const LEAST_S = 0.5;
let from = first;
let until = last;
let marked = null;

function clock(seconds, step) {
  if (last < 3600) return `${Number(seconds.toFixed(2))} s`;
  const whole = Math.floor(seconds + 1e-6);
  const two = (value) => String(value).padStart(2, "0");
  const hours = `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}`;
  if (step >= 60) return hours;
  return `${hours}:${two(whole % 60)}` + (step < 1 ? (seconds % 1).toFixed(1).slice(1) : "");
}

function place(element, seconds) {
  const box = plots.getBoundingClientRect();
  const area = axis.getBoundingClientRect();
  const share = (seconds - from) / (until - from);
  element.style.left = `${area.left - box.left + share * area.width}px`;
  return share >= 0 && share <= 1;
}

function draw() {
  for (const svg of svgs) svg.setAttribute("viewBox", `${from} 0 ${until - from} ${svg.dataset.high}`);
  const room = Math.max(2, Math.floor(axis.clientWidth / 90));
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200];
  const step = steps.find((each) => (until - from) / each <= room) ?? 86400;
  const ticks = [];
  for (let at = Math.max(0, Math.ceil(from / step)) * step; at <= until; at += step) {
    if ((at - from) / (until - from) > 0.96) break; // there is no room for its text
    const tick = document.createElement("span");
    tick.style.left = `${((at - from) / (until - from)) * 100}%`;
    tick.textContent = clock(at, step);
    ticks.push(tick);
  }
  axis.replaceChildren(...ticks);
  cursor.style.display = marked !== null && place(cursor, marked) ? "block" : "none";
  said.textContent = `Shown: ${clock(from, 1)} to ${clock(until, 1)}`;
}

function show(a, b) {
  const span = Math.min(Math.max(b - a, LEAST_S), last - first);
  from = Math.min(Math.max(first, (a + b - span) / 2), last - span);
  until = from + span;
  draw();
}

function zoom(factor, around = (from + until) / 2) {
  show(around - (around - from) * factor, around + (until - around) * factor);
}

function move(share) {
  const by = (until - from) * share;
  show(from + by, until + by);
}

function secondsAt(event) {
  const area = axis.getBoundingClientRect();
  const share = Math.min(1, Math.max(0, (event.clientX - area.left) / area.width));
  return from + share * (until - from);
}

const actions = {
  in: () => zoom(0.5), out: () => zoom(2), left: () => move(-0.3), right: () => move(0.3),
  all: () => { marked = null; show(first, last); },
};
const keys = { "+": "in", "=": "in", "-": "out", ArrowLeft: "left", ArrowRight: "right", 0: "all", Escape: "all" };

for (const button of document.querySelectorAll("button[data-do]")) {
  button.addEventListener("click", () => actions[button.dataset.do]());
}
plots.addEventListener("keydown", (event) => {
  const action = keys[event.key];
  if (!action || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  actions[action]();
});
plots.addEventListener("wheel", (event) => {
  // A plain wheel over the rows scrolls the page, which may be long; on the axis it zooms.
  if (!event.ctrlKey && !event.altKey && !axis.contains(event.target)) return;
  event.preventDefault();
  zoom(event.deltaY > 0 ? 1.25 : 0.8, secondsAt(event));
}, { passive: false });

let begun = null;
plots.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || !(event.target.closest("svg") || axis.contains(event.target))) return;
  begun = secondsAt(event);
});
window.addEventListener("pointermove", (event) => {
  if (begun === null) return;
  const [a, b] = [begun, secondsAt(event)].sort((x, y) => x - y);
  place(shade, a);
  shade.style.width = `${((b - a) / (until - from)) * axis.clientWidth}px`;
  shade.style.display = "block";
  event.preventDefault();
});
window.addEventListener("pointerup", (event) => {
  if (begun === null) return;
  const [a, b] = [begun, secondsAt(event)].sort((x, y) => x - y);
  begun = null;
  shade.style.display = "none";
  if ((b - a) / (until - from) > 0.01) show(a, b);
});
window.addEventListener("pointercancel", () => { begun = null; shade.style.display = "none"; });

for (const link of document.querySelectorAll("a[data-at]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    marked = Number(link.dataset.at);
    const half = Math.min(Math.max((last - first) / 20, 30), 900);
    show(marked - half, marked + half);
    plots.scrollIntoView({ block: "start" });
    plots.focus({ preventScroll: true });
  });
}
window.addEventListener("resize", draw);
window.addEventListener("beforeprint", draw);
draw();
