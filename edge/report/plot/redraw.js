// Draws all pictures again for the stretch of time in `view`.
const NS = "http://www.w3.org/2000/svg";
const all = (css, root = document) => [...root.querySelectorAll(css)];
const membersOf = (name) => lanes.filter((lane) => lane.approach === name);
const sections = all("section").map((node) => ({ node, name: node.dataset.approach, shown: true,
  svg: node.querySelector("svg"), lanes: membersOf(node.dataset.approach) }));

function put(parent, tag, attributes, text) {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function redraw() {
  const bin = view.bin || binOf(view.to - view.from), size = Math.max(1, Math.round(bin / D.width));
  const tops = {}, made = new Map();
  for (const s of sections) for (const path of all("path[data-kind].line", s.svg)) {
    const { kind, lane } = path.dataset, own = lane ? s.lanes[lane] : chances[s.name];
    const found = pointsOf(kind, own, size), panel = kind === "single" ? "speed" : kind;
    made.set(`${s.name} ${kind} ${lane}`, found);
    if (!own.shown || !s.shown) continue;
    for (const p of found.out) if (p && p[0] === p[0]) tops[panel] = Math.max(tops[panel] || 0, p[0]);
  }
  for (const s of sections) {
    for (const panel of all("svg.panel", s.svg)) panelOf(s, panel, made, tops, size);
    for (const bar of all("[data-from]", s.svg)) barOf(bar);
    for (const strip of all(".strip", s.svg)) stripOf(s, strip);
    timesOf(s.svg.querySelector(".times"));
  }
}

function panelOf(s, panel, made, tops, size) {
  const kind = panel.dataset.kind, height = +panel.getAttribute("height");
  const top = kind === "p" ? 1 : Math.min(D.panels[kind][1] ?? Infinity, axis(tops[kind] || 0, D.panels[kind][0]));
  for (const path of all("path[data-kind]", panel)) {
    const { kind: what, lane } = path.dataset;
    const found = paths(made.get(`${s.name} ${what} ${lane}`), size, height, top);
    path.setAttribute("d", path.classList.contains("band") ? found.band : found.line);
    path.style.display = lane && !s.lanes[lane].shown ? "none" : "";
  }
  if (kind === "p") return;
  const numbers = s.svg.querySelector(`.numbers[data-kind=${kind}]`), rules = panel.querySelector(".rules");
  numbers.replaceChildren();
  rules.replaceChildren();
  const part = stepOf(top);
  for (let v = 0; v <= top * 1.001; v += part) {
    const y = r1(height - 2 - (height - 4) * v / top);
    put(rules, "path", { class: "rule", d: `M0 ${y}H${D.plot}` });
    put(numbers, "text", { class: "small muted end", x: D.left - 7, y: +panel.getAttribute("y") + y + 4 },
      String(+v.toFixed(2)));
  }
}

function barOf(bar) {
  const from = Math.max(-4, pxOf(+bar.dataset.from));
  const to = Math.min(D.plot, pxOf(bar.dataset.to === undefined ? D.to : +bar.dataset.to));
  const here = to >= 0 && from <= D.plot, width = Math.max(3, to - Math.max(0, from));
  const x = Math.max(0, from), box = bar.tagName === "rect" ? bar : bar.querySelector("rect");
  bar.style.display = here ? "" : "none";
  box.setAttribute("x", r1(x + (box === bar ? 0 : D.left)));
  box.setAttribute("width", r1(width));
  if (box === bar) return;
  const text = bar.querySelector("text"), label = bar.dataset.text;
  text.setAttribute("x", r1(D.left + x + 4));
  text.textContent = fitting(label, width);
}

const fitting = (text, width) =>
  [text, text.split(" ").at(-1)].find((word) => word.length * 6.2 + 8 < width) || "";

function stripOf(s, strip) {
  const [high, heights] = D.strip, lane = s.lanes[strip.dataset.lane], y = +strip.dataset.y;
  strip.replaceChildren();
  strip.style.opacity = lane.shown ? "" : 0.25;
  let at = 0;
  for (const [code, many] of lane.runs[strip.dataset.kind]) {
    const from = Math.max(view.from, at * D.width), to = Math.min(view.to, (at + many) * D.width, D.to);
    at += many;
    if (code < 0 || to <= from) continue;
    const [word, grade] = D.words[code], h = heights[grade];
    const box = put(strip, "rect", { class: `s-${grade}`, x: r1(D.left + pxOf(from)), height: h,
      y: r1(y + (high - h) / 2), width: Math.max(1, r1(pxOf(to) - pxOf(from))) });
    if (grade === "ok") continue;
    put(box, "title", {}, `${timeOf(from)} to ${timeOf(to)}: ${word}`);
    if (grade !== "warn") put(strip, "text", { class: `w-${grade}`, x: r1(D.left + pxOf(from) + 4), y: y + 11 },
      fitting(word, pxOf(to) - pxOf(from)));
  }
}

const timeOf = (at) => clock((D.start || 0) + at, 0);

function timesOf(times) {
  const y = +times.dataset.y, base = D.start || 0, span = view.to - view.from;
  const step = STEPS.find((s) => span / s <= 13) || STEPS.at(-1);
  times.replaceChildren();
  for (let at = Math.ceil((base + view.from) / step) * step; at <= base + view.to; at += step) {
    const x = r1(D.left + pxOf(at - base));
    put(times, "path", { class: "rule", d: `M${x} ${y - 2}v5` });
    put(times, "text", { class: "small muted mid", x, y: y + 16 }, clock(at, step));
  }
}
