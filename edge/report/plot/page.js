// What a hand can do on the page: point, zoom, move, choose lanes and how fine lines are.
const told = document.getElementById("told"), tools = document.querySelector(".tools");
function look(from, to) {
  const least = Math.min(D.to, Math.max(4 * D.width, 10));
  const span = Math.min(D.to, Math.max(to - from, least)), middle = (from + to) / 2;
  view.from = Math.max(0, Math.min(D.to - span, middle - span / 2));
  view.to = view.from + span;
  hide();
  redraw();
}
const zoom = (factor, at = (view.from + view.to) / 2) =>
  look(at - (at - view.from) * factor, at + (view.to - at) * factor);
const move = (part) => look(view.from + part * (view.to - view.from), view.to + part * (view.to - view.from));

function secondsOf(svg, event) {
  const box = svg.getBoundingClientRect(), x = (event.clientX - box.left) * 1200 / box.width - D.left;
  return x < -2 || x > D.plot + 2 ? null : view.from + (view.to - view.from) * Math.min(1, Math.max(0, x / D.plot));
}

function hide() {
  told.style.display = "none";
  for (const line of all(".cross")) line.remove();
}

function tell(s, event) {
  const at = secondsOf(s.svg, event);
  hide();
  const bar = event.target.closest?.(".bar");
  if (bar) {
    const text = document.createElement("p");
    text.textContent = bar.dataset.said;
    show([text], event);
    return;
  }
  if (at === null) return;
  const bin = view.bin || binOf(view.to - view.from), size = Math.max(1, Math.round(bin / D.width));
  const first = Math.floor(at / D.width / size) * size, end = Math.min(D.columns, first + size);
  for (const other of sections) put(other.svg, "path", { class: "cross",
    d: `M${r1(D.left + pxOf(at))} 24V${other.svg.viewBox.baseVal.height - 26}`, "pointer-events": "none" });
  const value = (kind, own, digits) => {
    const p = pointOf(kind, own, first, end);
    return p && p[0] === p[0] ? p[0].toFixed(digits) : "-";
  };
  const row = (cells, tag = "td") => {
    const tr = document.createElement("tr");
    for (const cell of cells) tr.append(Object.assign(document.createElement(tag), { textContent: cell }));
    return tr;
  };
  const rows = [row([`${timeOf(first * D.width)}, ${size * D.width} s`, "veh/h", "%", s.lanes.some((lane) => lane.single) ? "km/h (~ one loop)" : "km/h", "health"], "th")];
  for (const lane of s.lanes.filter((one) => one.shown)) {
    const pair = value("speed", lane, 1), single = value("single", lane, 1);
    rows.push(row([lane.name, value("volume", lane, 0), value("occupancy", lane, 1),
      pair === "-" && single !== "-" ? `~${single}` : pair, stateOf(lane, first)]));
  }
  const p = chances[s.name];
  if (p && p.now) rows.push(row([["now", "in5", "in15"].filter((k) => p[k]).map((k) =>
    `${{ now: "P(congested)", in5: "in 5 min", in15: "in 15 min" }[k]} ${value(k, p, 2)}`).join(", ")]));
  rows.at(-1).firstChild.colSpan = rows.at(-1).children.length === 1 ? 5 : 1;
  const table = document.createElement("table");
  table.append(...rows);
  show([table], event);
}

function show(nodes, event) {
  told.replaceChildren(...nodes);
  told.style.display = "block";
  const wide = told.offsetWidth, left = event.clientX + 18 + wide > innerWidth ? event.clientX - wide - 18 : event.clientX + 18;
  told.style.left = `${Math.max(4, left)}px`;
  told.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - told.offsetHeight - 6))}px`;
}

function stateOf(lane, column) {
  return Object.entries(lane.runs).map(([part, runs]) => {
    let at = 0;
    const run = runs.find(([, many]) => (at += many) > column);
    const word = run && run[0] >= 0 ? D.words[run[0]][0] : "-";
    return part === "health" ? word : `${part} ${word}`;
  }).join(", ");
}

function button(text, label, press) {
  const made = Object.assign(document.createElement("button"), { type: "button", title: label });
  made.append(text);
  made.addEventListener("click", () => press(made));
  tools.append(made);
  return made;
}
const space = () => tools.append(Object.assign(document.createElement("span"), { className: "gap" }));

function toggle(text, label, colour, turn) {
  const made = button(text, label, (one) => {
    const on = one.getAttribute("aria-pressed") !== "true";
    one.setAttribute("aria-pressed", on);
    turn(on);
    redraw();
  });
  made.setAttribute("aria-pressed", "true");
  if (colour) made.prepend(Object.assign(document.createElement("i"), { className: colour }));
}

button("whole", "all of the time (0)", () => look(0, D.to));
button("+", "closer (+)", () => zoom(0.5));
button("−", "further away (-)", () => zoom(2));
button("◀", "earlier (arrow left)", () => move(-0.5));
button("▶", "later (arrow right)", () => move(0.5));
space();
const chosen = document.createElement("select");
chosen.setAttribute("aria-label", "how much time a point stands for");
const fine = [["as fits", 0], ["each window", D.width], ["1 min", 60], ["5 min", 300], ["15 min", 900], ["1 h", 3600]];
for (const [text, bin] of fine) if (!bin || Number.isInteger(bin / D.width)) chosen.append(new Option(text, bin));
chosen.addEventListener("change", () => { view.bin = +chosen.value; redraw(); });
tools.append("a point is ", chosen);
for (const s of sections) {
  space();
  const turn = (on) => { s.shown = on; s.node.hidden = !on; };
  if (sections.length > 1) toggle(s.name || "other devices", "show or hide this approach", "", turn);
  s.lanes.forEach((lane, i) => toggle(lane.name, "show or hide this lane", `l${i % 8}`, (on) => { lane.shown = on; }));
}
tools.append(Object.assign(document.createElement("span"), { className: "note",
  textContent: "drag to zoom, double click for the whole" }));
tools.hidden = false;

for (const bar of all(".bar")) { // ours shows at once, and does not hide behind the browser's
  const title = bar.querySelector("title");
  bar.dataset.said = title.textContent;
  title.remove();
}
for (const s of sections) {
  let begin = null, box = null;
  s.svg.addEventListener("pointerdown", (event) => {
    begin = event.button ? null : secondsOf(s.svg, event);
    if (begin !== null) s.svg.setPointerCapture(event.pointerId);
  });
  s.svg.addEventListener("pointermove", (event) => {
    if (begin === null) { tell(s, event); return; }
    hide();
    const now = secondsOf(s.svg, event) ?? (event.movementX > 0 ? view.to : view.from);
    box ??= put(s.svg, "rect", { class: "s-warn", opacity: 0.25, y: 24, height: "100%", "pointer-events": "none" });
    box.setAttribute("x", D.left + pxOf(Math.min(begin, now)));
    box.setAttribute("width", Math.abs(pxOf(now) - pxOf(begin)));
    box.dataset.to = now;
  });
  s.svg.addEventListener("pointerup", () => {
    const to = box ? +box.dataset.to : begin, from = begin;
    box?.remove();
    box = begin = null;
    if (from !== null && Math.abs(pxOf(to) - pxOf(from)) > 5) look(Math.min(from, to), Math.max(from, to));
  });
  s.svg.addEventListener("pointerleave", hide);
  s.svg.addEventListener("dblclick", () => look(0, D.to));
  s.svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, secondsOf(s.svg, event) ?? undefined);
  }, { passive: false });
}
document.addEventListener("keydown", (event) => {
  if (event.target.matches?.("select,input")) return;
  const act = { "+": () => zoom(0.5), "-": () => zoom(2), 0: () => look(0, D.to), ArrowLeft: () => move(-0.25),
    ArrowRight: () => move(0.25), Escape: hide }[event.key];
  if (act) { act(); event.preventDefault(); }
});
