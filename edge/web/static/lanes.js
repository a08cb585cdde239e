// Lanes with vehicles as they pass: what a person sees who stands beside the loop.

import { bdi, el, Keyed, replace, setText } from "./dom.js";
import { DayPlots } from "./dayplot.js";
import { loadTerms, nameNodes } from "./terms.js";
import { number, span } from "./words.js";

export const parts = ["box", "lanes"];
const LOOKS = 60; // of a loop's strip, two a second

export async function show({ main, words, shell, ask, errorNodes }) {
  const terms = await loadTerms();
  const plots = new DayPlots({ ask, terms, shell, errorNodes });
  let names = {};
  const looks = new Map();
  const list = el("div", { class: "lanes" });
  const none = el("p", { class: "quiet" }, words.text("waiting"));
  main.append(none, list);

  function make(lane) {
    const card = el("section", { class: "panel lane" });
    card.parts = {
      head: el("h2", {}), loops: el("div", { class: "loops" }), window: el("p", { class: "quiet" }),
      vehicles: el("ol", { class: "vehicles", "aria-label": words.text("vehicles") }), day: el("div", {}),
    };
    const { head, loops, window: last, vehicles, day } = card.parts;
    card.append(head, loops, el("h3", {}, words.text("vehicles")), vehicles, last, day);
    card.loops = new Keyed(loops, (each) => each.name, makeLoop, drawLoop);
    day.append(plots.opener(lane.name, words.text("day"), (course) => ({
      label: course.point === "volume" ? words.text("day_volume") : terms.point(course.point), unit: course.point === "volume" ? words.text("per_hour") : course.point === "speed" ? "km/h" : "%",
    })));
    return card;
  }

  function makeLoop() {
    const box = el("div", { class: "loop" });
    box.parts = { state: el("p", { class: "level" }), name: el("p", { class: "quiet" }), edge: el("p", { class: "quiet" }), strip: el("canvas", { width: 240, height: 24, "aria-hidden": "true" }) };
    box.append(box.parts.name, box.parts.state, box.parts.strip, box.parts.edge);
    return box;
  }

  function drawLoop(box, loop) {
    const { state, name, edge, strip } = box.parts;
    const watched = loop.on !== null && loop.on !== undefined;
    box.className = `loop ${watched ? (loop.on ? "on" : "off") : "shut"}`;
    setText(state, watched ? words.text(loop.on ? "occupied" : "free") : words.text("unwatched"));
    const part = loop.name.split(".").pop();
    setText(name, terms.word("part", part));
    const age = loop.edge_age_s === null ? words.text("no_edge") : words.text("edge", { age: span(loop.edge_age_s) });
    replace(edge, age, " · ", words.text("edges", { n: number(loop.edges_hour ?? 0) }),
      loop.lost_edges ? el("span", { class: "bad" }, " · ", words.text("lost", { n: number(loop.lost_edges) })) : null,
      loop.closed ? el("span", { class: "bad" }, " ", bdi(loop.closed)) : null);
    drawStrip(strip, loop);
  }

  // What was seen of a loop at the last looks: free, driven over since, occupied, not known
  function drawStrip(canvas, loop) {
    const kept = looks.get(loop.name) ?? { edges: loop.edges, marks: [] };
    kept.marks.push(loop.on === null ? 0 : loop.on ? 3 : loop.edges > kept.edges ? 2 : 1);
    if (kept.marks.length > LOOKS) kept.marks.shift();
    kept.edges = loop.edges;
    looks.set(loop.name, kept);
    const pen = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    kept.marks.forEach((mark, place) => {
      const height = [0, 2, 12, 22][mark];
      pen.fillStyle = mark > 1 ? style.getPropertyValue("--on") : style.getPropertyValue("--line");
      pen.fillRect(canvas.width - (kept.marks.length - place) * 4, canvas.height - height, 3, height);
    });
  }

  function update(card, lane) {
    const { head, window: last, vehicles } = card.parts;
    replace(head, nameNodes(lane.name, names), " ", el("span", { class: "quiet" }, words.nodes("approach", { approach: el("span", {}, nameNodes(lane.approach, names)) })));
    card.loops.show(lane.loops ?? []);
    const rows = (lane.vehicles ?? []).slice(0, 6);
    replace(vehicles, rows.length ? rows.map((each) => el("li", {}, vehicleText(each))) : el("li", { class: "quiet" }, words.text("none_yet")));
    const window_ = lane.window;
    if (!window_) return replace(last, words.text("no_window"));
    const counted = window_.volume === null ? words.text("no_count") : words.count("volume", window_.volume);
    const speed = window_.speed?.mean ?? window_.speed_single?.kmh;
    replace(last, words.text("window", { length: span(window_.length_s), age: span(window_.age_s) }), " ", counted,
      typeof speed === "number" ? `, ${number(speed)} km/h` : "",
      typeof window_.occupancy === "number" ? `, ${words.text("occupancy", { share: number(window_.occupancy * 100, 1) })}` : "",
      lane.since_window ? `; ${words.text("since", { n: number(lane.since_window.vehicles) })}` : "",
      window_.health && window_.health !== "ok" ? el("span", { class: "bad" }, " · ", terms.health(window_.health)) : null);
  }

  function vehicleText(vehicle) {
    const age = words.text("ago", { age: vehicle.age_s < 2 ? words.text("now") : span(vehicle.age_s) });
    if (typeof vehicle.speed_kmh === "number") {
      const size = typeof vehicle.length_m === "number" ? [` · ${number(vehicle.length_m, 1)} m`, vehicle.class ? [" (", bdi(terms.word("class", vehicle.class)), ")"] : ""] : [];
      return [el("strong", {}, `${number(vehicle.speed_kmh)} km/h`), size, " · ", el("span", { class: "quiet" }, age)];
    }
    const there = typeof vehicle.on_s === "number" ? words.text("on_loop", { s: number(vehicle.on_s, 2) }) : words.text("there_now");
    return [el("strong", {}, there), " · ", el("span", { class: "quiet" }, age)];
  }

  const keyed = new Keyed(list, (each) => each.name, make, update);
  return {
    part(name, data) {
      if (name === "box") names = data.names ?? {};
      if (name !== "lanes") return;
      setText(none, data.length ? "" : words.text("no_lanes"));
      keyed.show(data);
    },
    close: () => plots.close(),
  };
}
