// Air and energy: each value now, with its age and quality, and its last day.

import { el, Keyed, replace, setText } from "./dom.js";
import { DayPlots } from "./dayplot.js";
import { loadTerms, nameNodes, unitText } from "./terms.js";
import { measured, span } from "./words.js";

export const parts = ["box", "devices"];

export async function show({ main, words, shell, ask, errorNodes, rest }) {
  const terms = await loadTerms();
  const plots = new DayPlots({ ask, terms, shell, errorNodes });
  let names = {};
  const units = new Map();
  const none = el("p", { class: "quiet" }, words.text("waiting"));
  const list = el("div", {});
  main.append(none, list);

  function make(device) {
    const card = el("section", { class: "panel" });
    card.parts = { head: el("h2", {}), state: el("p", { class: "quiet" }), rows: el("dl", { class: "readings" }) };
    const day = plots.opener(device.name, words.text("day"), (course) => ({
      label: terms.point(course.point), unit: unitText(units.get(`${device.name}.${course.point}`)),
    }), rest[0] === device.name);
    card.append(card.parts.head, card.parts.state, card.parts.rows, day);
    return card;
  }

  function update(card, device) {
    const { head, state, rows } = card.parts;
    for (const each of device.readings ?? []) units.set(`${device.name}.${each.point}`, each.unit);
    replace(head, nameNodes(device.name, names));
    const age = device.age_s === null ? words.text("never") : words.text("age", { age: span(device.age_s) });
    state.className = device.state === "ok" ? "quiet" : "bad";
    replace(state, device.state === "ok" ? age : [terms.word("reason", device.state), " · ", age]);
    replace(rows, (device.readings ?? []).map((each) => {
      const good = each.quality === "good";
      return el("div", { class: good ? "reading" : "reading doubted" },
        el("dt", {}, terms.pointNodes(each.point)),
        el("dd", {}, el("strong", {}, each.value === null ? "–" : measured(each.value)), " ", unitText(each.unit),
          good ? null : el("span", { class: "doubt" }, " ", terms.quality(each.quality))));
    }));
  }

  const keyed = new Keyed(list, (each) => each.name, make, update);
  return {
    part(name, data) {
      if (name === "box") names = data.names ?? {};
      if (name !== "devices") return;
      setText(none, data.length ? "" : words.text("no_devices"));
      keyed.show(data);
    },
    close: () => plots.close(),
  };
}
