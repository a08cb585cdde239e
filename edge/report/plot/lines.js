// Points and paths for a stretch of time, as lines.py makes them for the whole.
"use strict";
const D = JSON.parse(document.getElementById("data").textContent);
const HOLD = 300, COVER = 0.1, MINUTE = 60;
const BINS = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
const STEPS = [1, 2, 5, 10, 15, 30, ...BINS.filter((s) => s !== 600), 172800, 604800, 1209600, 2419200];
const SHARES = { aog: ["arrivals", "on_green"], split: ["judged", "failures"] };
const NUMBERS = (text, by) => (text ? text.split(",").map((c) => (c === "" ? NaN : c / by)) : null);
const BY = { covered: 10, volume: 1, occupancy: 1000, n: 1, speed: 10, single: 10, queue: 10,
  singles: 1, arrivals: 1, on_green: 1, judged: 1, failures: 1,
  low: 1000, high: 1000, slow: 10, fast: 10 };
const view = { from: 0, to: D.to, bin: 0 };
const lanes = D.lanes.map((lane) => {
  const made = { name: lane.name, approach: lane.approach, shown: true, runs: {} };
  for (const kind of Object.keys(BY)) made[kind] = NUMBERS(lane[kind], BY[kind]);
  made.covered ??= Array(D.columns).fill(NaN);
  made.covered = made.covered.map((c) => (Number.isNaN(c) ? D.width : c));
  made.low ??= made.occupancy; made.high ??= made.occupancy;
  made.slow ??= made.speed; made.fast ??= made.speed;
  for (const part of ["lead", "trail", "health"]) if (lane[part]) made.runs[part] = lane[part];
  return made;
});
const chances = {};
for (const [name, table] of Object.entries(D.approaches)) {
  chances[name] = {};
  for (const kind of Object.keys(table)) chances[name][kind] = NUMBERS(table[kind], 1000);
}

function binOf(span) {
  const least = Math.max(MINUTE, D.width, span / 300);
  for (const nice of BINS) if (nice >= least && Number.isInteger(nice / D.width)) return nice;
  return Math.ceil(least / D.width) * D.width;
}

function pointOf(kind, own, at, end) {
  const s = (column, f) => { // sum or extreme of what is known
    let out = NaN;
    if (column) for (let i = at; i < end; i++) {
      const v = column[i];
      if (v === v && v !== undefined) out = out === out ? f(out, v, i) : f(undefined, v, i);
    }
    return out;
  };
  const add = (a, v) => (a === undefined ? v : a + v);
  const min = (a, v) => (a === undefined ? v : Math.min(a, v));
  const max = (a, v) => (a === undefined ? v : Math.max(a, v));
  const weighed = (by) => (a, v, i) => (a ?? 0) + v * by[i];
  if (["now", "in5", "in15"].includes(kind)) {
    const v = s(own[kind], max);
    return v === v ? [v] : null;
  }
  if (SHARES[kind]) {
    const [whole, part] = SHARES[kind].map((name) => s(own[name], add));
    return whole === whole ? [whole ? 100 * (part || 0) / whole : NaN] : null;
  }
  const covered = s(own.covered, add);
  if (!(covered >= COVER * (end - at) * D.width)) return null;
  if (kind === "volume") {
    const v = s(own.volume, add);
    return v === v ? [v / covered * 3600] : null;
  }
  if (kind === "queue") return [100 * s(own.queue, add) / covered];
  if (kind === "occupancy") {
    const on = s(own.occupancy, weighed(own.covered));
    return on === on ? [100 * on / covered, 100 * s(own.low, min), 100 * s(own.high, max)] : null;
  }
  const n = s(own.n, add);
  if (kind === "speed") return n ? [s(own.speed, weighed(own.n)) / n, s(own.slow, min), s(own.fast, max)] : [NaN];
  if (n > 0) return null;
  const many = s(own.singles, add);
  return many ? [s(own.single, weighed(own.singles)) / many] : [NaN];
}

function pointsOf(kind, own, size) {
  const first = Math.max(0, Math.floor(view.from / D.width / size) - 1) * size, out = [];
  for (let at = first; at < D.columns && (at - size) * D.width < view.to; at += size)
    out.push(pointOf(kind, own, at, Math.min(D.columns, at + size)));
  return { out, first };
}

const pxOf = (s) => D.plot * (s - view.from) / (view.to - view.from);
const r1 = (v) => Math.round(v * 10) / 10;

function paths(found, size, height, top) {
  const x = (i) => r1(pxOf((found.first + (i + 0.5) * size) * D.width));
  const y = (v) => r1(height - 2 - (height - 4) * Math.min(v / top, 2));
  let line = "", band = "", last = -1, lonely = false, run = [];
  found.out.concat([null]).forEach((p, i) => {
    if (p === null) last = -1;
    else if (p[0] !== p[0]) { if (last >= 0 && (i - last) * size * D.width > HOLD) last = -1; }
    else {
      if (last < 0) { line += `${lonely ? "h0" : ""}M${x(i)} ${y(p[0])}`; lonely = true; }
      else { line += `L${x(i)} ${y(p[0])}`; lonely = false; }
      last = i;
    }
    if (p && p[1] === p[1] && p[1] !== undefined) { run.push([i, p]); return; }
    if (run.length > 1 && run.some(([, q]) => q[2] > q[1])) {
      const up = run.map(([j, q]) => `${x(j)} ${y(q[2])}`);
      band += `M${up.concat(run.reverse().map(([j, q]) => `${x(j)} ${y(q[1])}`)).join("L")}Z`;
    }
    run = [];
  });
  return { line: lonely ? `${line}h0` : line, band };
}

function stepOf(wanted) {
  const size = 10 ** String(Math.trunc(wanted)).length;
  return [0.01, 0.02, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5].map((q) => size * q).find((q) => wanted / q <= 4.001);
}

function axis(highest, least) {
  const wanted = Math.max(highest * 1.04, least), step = stepOf(wanted);
  return Math.ceil(wanted / step) * step;
}

function clock(at, step) {
  const two = (n) => String(n).padStart(2, "0"), wall = D.start !== null, s = Math.round(at);
  const day = new Date(s * 1000);
  if (wall && step && (step >= 86400 || s % 86400 === 0))
    return `${day.getUTCDate()} ${day.toLocaleString("en", { month: "short", timeZone: "UTC" })}`;
  const h = Math.floor(s / 3600), m = two(Math.floor(s / 60) % 60);
  const text = wall ? `${two(h % 24)}:${m}` : `${h}:${m}`;
  if (!step) return `${wall ? `${day.toISOString().slice(0, 10)} ` : ""}${text}:${two(s % 60)}`;
  return step >= 60 ? text : `${text}:${two(s % 60)}`;
}
