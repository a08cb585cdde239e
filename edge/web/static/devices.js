// Devices, bus by bus, with what went wrong, and the frames on the wire while somebody looks.

import { add, bdi, el, Keyed, prose, replace, setText } from "./dom.js";
import { loadTerms, nameNodes } from "./terms.js";
import { number, span } from "./words.js";

export const parts = ["box", "devices", "contacts"];
const FRAMES_MS = 1000;

export async function show({ main, words, session, ask, errorNodes }) {
  const terms = await loadTerms();
  let names = {};
  let closed = false;
  const none = el("p", { class: "quiet" }, words.text("waiting"));
  const buses = el("div", {});
  const contacts = el("ul", { class: "plain" });
  const lines = el("section", { class: "panel" }, el("h2", {}, words.text("contacts")), contacts);
  main.append(none, buses, lines);

  function makeBus(bus) {
    const section = el("section", { class: "panel" });
    const rows = el("div", {});
    const frames = el("div", { class: "frames" });
    const part = !session.logged_in ? null : el("details", {}, el("summary", {}, words.text("frames")), el("p", { class: "hint" }, words.text("frames_hint")), frames);
    let timer = 0;
    const look = async () => {
      clearTimeout(timer);
      try {
        drawFrames(frames, await ask("frames", { bus: bus.name }));
      } catch (error) {
        replace(frames, el("p", { class: "bad" }, errorNodes(error)));
      }
      clearTimeout(timer);
      if (part.open && part.isConnected && !closed) timer = setTimeout(look, FRAMES_MS);
    };
    part?.addEventListener("toggle", () => (part.open ? look() : clearTimeout(timer)));
    add(section, [el("h2", {}, words.nodes("bus", { bus: bdi(bus.name) })), rows, part]);
    section.rows = new Keyed(rows, (each) => each.name, () => el("div", { class: "device" }), drawDevice);
    return section;
  }

  function drawDevice(row, device) {
    const well = device.state === "ok";
    const share = device.reads ? (device.errors / device.reads) * 100 : 0;
    const age = device.age_s === null ? words.text("never") : words.text("age", { age: span(device.age_s) });
    replace(row,
      el("h3", {}, nameNodes(device.name, names), " ", el("span", { class: "quiet" }, bdi(device.driver))),
      el("p", { class: well ? "good" : "bad" }, el("strong", {}, well ? words.text("answers") : terms.word("reason", device.state)),
        device.unsettled ? el("span", { class: "doubt" }, " · ", terms.word("reason", device.unsettled)) : null, " · ", age),
      el("p", { class: "quiet" }, words.text("counts", { reads: number(device.reads), errors: number(device.errors), share: number(share, share && share < 10 ? 2 : 0) }), " · ", words.text("every", { span: span(device.every_s) })),
      device.text && !well ? el("p", { class: "detail", lang: "en" }, prose(device.text)) : null,
      Object.entries(device.health ?? {}).map(([word, text]) => el("p", { class: "doubt" }, words.text("reports"), " ", terms.word("condition", word), " ", el("span", { class: "detail", lang: "en" }, bdi(text)))));
  }

  function drawFrames(place, answer) {
    if (!answer.has_frames) return replace(place, el("p", { class: "quiet" }, words.text("no_frames")));
    if (!answer.frames.length) return replace(place, el("p", { class: "quiet" }, words.text("wait_frames")));
    const rows = answer.frames.slice(0, 40).map((each) => el("tr", { class: each.way },
      el("td", {}, words.text(`way_${each.way}`)),
      el("td", { class: "number" }, `${number(each.age_s, 1)} s`),
      el("td", { class: "code" }, each.note ? el("span", { class: "quiet", lang: "en" }, bdi(each.note), " ") : null, each.hex, each.size > 256 ? ` … (${number(each.size)} B)` : "")));
    replace(place, el("div", { class: "wide" }, el("table", {},
      el("thead", {}, el("tr", {}, ["way", "ago", "bytes"].map((key) => el("th", { scope: "col" }, words.text(`column_${key}`))))), el("tbody", {}, rows))));
  }

  const keyed = new Keyed(buses, (each) => each.name, makeBus, (section, bus) => section.rows.show(bus.devices));
  return {
    part(name, data) {
      if (name === "box") names = data.names ?? {};
      if (name === "devices") {
        setText(none, data.length ? "" : words.text("no_devices"));
        const groups = new Map();
        for (const each of data) groups.set(each.bus, [...(groups.get(each.bus) ?? []), each]);
        keyed.show([...groups].map(([bus, devices]) => ({ name: bus, devices })));
      }
      if (name === "contacts") {
        lines.hidden = !data.length;
        replace(contacts, data.map((each) => el("li", {}, nameNodes(each.name, names), " · ", terms.kind(each.kind), " · ",
          each.on === null ? el("span", { class: "bad" }, words.text("unwatched"), " ", each.closed ? bdi(each.closed) : "") : el("strong", {}, words.text(each.on ? "on" : "off")),
          " · ", el("span", { class: "quiet" }, each.edge_age_s === null ? words.text("no_edge") : words.text("edge", { age: span(each.edge_age_s) })))));
      }
    },
    close: () => { closed = true; },
  };
}
