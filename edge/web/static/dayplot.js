// The last day of a lane's or a device's points, drawn: gaps hatched, doubtful values pale, each with its word below.

import { add, el, replace } from "./dom.js";
import { loadPlot } from "./plot.js";
import { currentLanguage, measured, number, span } from "./words.js";

const HEIGHT = 150;
const AGAIN_MS = 60000;

export class DayPlots {
  constructor({ ask, terms, shell, errorNodes }) {
    Object.assign(this, { ask, terms, shell, errorNodes, drawn: new Set(), timers: new Set() });
    this.resized = () => this.drawn.forEach((each) => each.plot.setSize({ width: widthOf(each.place), height: HEIGHT }));
    window.addEventListener("resize", this.resized);
  }

  // A part that is closed at first; `describe(course)` gives {label, unit}
  opener(source, title, describe, open = false) {
    const body = el("div", { class: "plots" });
    const part = el("details", { class: "day", open }, el("summary", {}, title), body);
    let timer = 0;
    const again = async () => {
      await this.fill(body, source, describe);
      timer = part.open ? setTimeout(again, AGAIN_MS) : 0;
      if (timer) this.timers.add(timer);
    };
    part.addEventListener("toggle", () => {
      clearTimeout(timer);
      if (part.open) again();
      else this.forget(body);
    });
    if (open) again();
    return part;
  }

  async fill(body, source, describe) {
    try {
      const [answer, uPlot] = await Promise.all([this.ask("history", { source }), loadPlot()]);
      if (this.closed) return;
      this.forget(body);
      const figures = answer.courses.map((course) => this.figure(uPlot, answer, course, describe(course)));
      const young = answer.started_s < 86000 ? el("p", { class: "quiet" }, this.shell.text("plot.since", { span: span(answer.started_s) })) : null;
      // not by `replace`: figures with equal words are other figures, and the former ones have lost their plots
      body.replaceChildren();
      add(body, figures.length ? [young, figures.map((each) => each.node)] : [el("p", { class: "quiet" }, this.shell.text("plot.none"))]);
      figures.forEach((each) => each.draw());
    } catch (error) {
      replace(body, el("p", { class: "bad", role: "alert" }, this.errorNodes(error)));
    }
  }

  figure(uPlot, answer, course, { label, unit }) {
    const shown = course.measure === "rate" && unit && !unit.includes("/") ? `${unit}/h` : unit;
    const now = Date.now() / 1000;
    const times = course.values.map((_, slot) => Math.min(now, now - answer.since_s + (slot + 0.5) * answer.slot_s));
    const words = new Array(course.values.length).fill("good");
    for (const [first, count, word] of course.words) words.fill(word || "gap", first, first + count);
    // a window of the newest slots has yet to end, and of the slot of the start: nothing is missing there
    if (words[0] === "gap" && answer.started_s < answer.since_s) words[0] = "open";
    for (const slot of [words.length - 1, words.length - 2]) {
      if (words[slot] !== "gap") break;
      words[slot] = "open";
    }
    const sure = course.values.map((value, slot) => (words[slot] === "good" ? value : null));
    const doubted = course.values.map((value, slot) => (words[slot] !== "good" ? value : null));
    const place = el("div", { class: "canvas", "aria-hidden": "true" });
    const node = el("figure", { class: "plot" },
      el("figcaption", {}, el("strong", {}, label), shown ? ` (${shown})` : "", el("br"), el("span", { class: "quiet" }, this.summary(course, words, answer.slot_s))), place);
    const draw = () => {
      const style = getComputedStyle(document.documentElement);
      const colour = (name) => style.getPropertyValue(name).trim();
      const axis = { stroke: colour("--text"), grid: { stroke: colour("--line"), width: 0.3 }, ticks: { stroke: colour("--line"), width: 0.5 } };
      const stamp = new Intl.DateTimeFormat(currentLanguage(), { hour: "2-digit", minute: "2-digit", hour12: false });
      const whole = [now - Math.max(answer.since_s, 600), now];
      const plot = new uPlot({
        width: widthOf(place), height: HEIGHT, legend: { show: false }, cursor: { show: false }, padding: [8, 8, 0, 0],
        scales: { x: { time: true, range: () => whole }, y: { range: (_, low, high) => rangeOf(unit, course.point, low, high) } },
        axes: [
          { ...axis, size: 28, values: (_, ticks) => ticks.map((each) => stamp.format(each * 1000)) },
          { ...axis, size: 58, values: (_, ticks) => ticks.map((each) => number(each, digitsOf(ticks))) },
        ],
        series: [
          {},
          { stroke: colour("--series"), width: 2, points: { size: 4, fill: colour("--series") } },
          { stroke: colour("--pale"), width: 2, dash: [4, 3], points: { size: 4, fill: colour("--pale") } },
        ],
        hooks: { drawClear: [(made) => hatch(made, words, times, answer.slot_s, colour("--line"))] },
      }, [times, sure, doubted], place);
      this.drawn.add({ plot, place });
    };
    return { node, draw };
  }

  // The same in words: for whoever does not see the picture, and for the words of what is pale
  summary(course, words, slotS) {
    const known = course.values.filter((value, slot) => value !== null && words[slot] === "good");
    const told = known.length
      ? [this.shell.text("plot.range", { low: measured(Math.min(...known)), high: measured(Math.max(...known)), last: measured(known.at(-1)) })]
      : [this.shell.text("plot.no_good")];
    const lengths = new Map();
    for (const word of words) if (word !== "good" && word !== "open") lengths.set(word, (lengths.get(word) ?? 0) + slotS);
    for (const [word, length] of lengths) {
      const said = word === "gap" ? this.shell.text("plot.gap") : this.terms.quality(word);
      told.push(`${said}: ${span(length)}`);
    }
    return told.join("; ");
  }

  forget(body) {
    for (const each of this.drawn) {
      if (!body || body.contains(each.place)) {
        each.plot.destroy();
        this.drawn.delete(each);
      }
    }
  }

  close() {
    this.closed = true;
    window.removeEventListener("resize", this.resized);
    this.timers.forEach(clearTimeout);
    this.forget(null);
  }
}

function widthOf(place) {
  return Math.max(200, Math.floor(place.getBoundingClientRect().width));
}

// A share fills its plot, counts and speeds begin at nothing, and what hardly changes is not made to look as if it did
function rangeOf(unit, point, low, high) {
  if (unit === "%") return [0, 100];
  if (low === null || high === null) return [0, 1];
  if (low >= 0 && (point === "volume" || point === "speed")) return [0, Math.max(high * 1.1, 1)];
  const room = Math.max((high - low) * 0.1, Math.max(Math.abs(low), Math.abs(high)) * 0.02, 1e-3);
  return [low - room, high + room];
}

function digitsOf(ticks) {
  const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : 1;
  return step >= 1 ? 0 : Math.min(3, Math.ceil(-Math.log10(step)));
}

// Lines through each stretch without a value
function hatch(plot, words, times, slotS, colour) {
  const pen = plot.ctx;
  const { top, height, left, width } = plot.bbox;
  pen.save();
  pen.beginPath();
  let first = -1;
  const stretches = [];
  for (let slot = 0; slot <= words.length; slot += 1) {
    const empty = slot < words.length && (words[slot] === "gap" || words[slot].startsWith("bad"));
    if (empty && first < 0) first = slot;
    if (!empty && first >= 0) {
      stretches.push([times[first] - slotS / 2, times[slot - 1] + slotS / 2]);
      first = -1;
    }
  }
  for (const [from, to] of stretches) {
    const x0 = Math.max(left, plot.valToPos(from, "x", true));
    const x1 = Math.min(left + width, plot.valToPos(to, "x", true));
    if (x1 > x0) pen.rect(x0, top, x1 - x0, height);
  }
  if (stretches.length) {
    pen.clip();
    pen.beginPath();
    for (let x = left - height; x < left + width; x += 10) {
      pen.moveTo(x, top + height);
      pen.lineTo(x + height, top);
    }
    pen.strokeStyle = colour;
    pen.lineWidth = 1;
    pen.stroke();
  }
  pen.restore();
}
