// The queue of records and the link to the city: what waits, for how long, and why.

import { bdi, el, prose, replace } from "./dom.js";
import { loadTerms } from "./terms.js";
import { bytes, number, span } from "./words.js";

export const parts = ["link", "queue", "time"];

export async function show({ main, words }) {
  const terms = await loadTerms();
  const link = el("section", { class: "panel" }, words.text("waiting"));
  const queue = el("section", { class: "panel" });
  const clock = el("section", { class: "panel" });
  main.append(link, queue, clock);
  const row = (name, ...value) => [el("dt", {}, words.text(name)), el("dd", {}, value)];

  function drawLink(data) {
    replace(link, el("h2", {}, words.text("link")),
      el("p", { class: data.connected ? "good" : "bad" }, el("strong", {}, words.text(data.connected ? "connected" : "unconnected", { span: span(data.for_s) }))),
      data.failure && !data.connected ? el("p", { class: "detail", lang: "en" }, prose(data.failure), " ", prose(data.remedy)) : null,
      data.trouble ? el("p", { class: "bad", lang: "en" }, bdi(data.trouble)) : null,
      el("dl", { class: "facts" },
        row("broker", bdi(data.broker ?? (data.brokers ?? []).join(", "))),
        row("confirm", words.text(data.confirm === "platform" ? "by_platform" : "by_broker")),
        row("confirmed", data.confirmed_s === null ? words.text("not_yet") : words.text("ago", { age: span(data.confirmed_s) })),
        row("unconfirmed", number(data.unconfirmed ?? 0)),
        typeof data.round_trip_s === "number" ? row("round_trip", `${number(data.round_trip_s * 1000)} ms`) : null,
        (data.denied ?? []).length ? row("denied", bdi(data.denied.join(", "))) : null));
  }

  function drawQueue(data) {
    if (!data) return replace(queue, el("h2", {}, words.text("queue")), el("p", { class: "bad" }, words.text("no_count")));
    const share = data.limit ? data.size / data.limit : 0;
    replace(queue, el("h2", {}, words.text("queue")),
      data.in_memory ? el("p", { class: "bad" }, words.text("in_memory"), " ", el("span", { class: "detail", lang: "en" }, bdi(data.in_memory))) : null,
      el("p", {}, el("label", { for: "room" }, words.text("room", { size: bytes(data.size), limit: bytes(data.limit), share: number(share * 100, share < 0.1 ? 1 : 0) })), el("br"),
        el("meter", { id: "room", min: 0, max: 1, high: 0.8, value: share.toFixed(4) })),
      el("dl", { class: "facts" },
        row("rows", number(Math.max(0, data.rows - data.confirmed))),
        row("oldest", data.age_s === null ? words.text("none") : span(data.age_s)),
        row("dropped", data.dropped ? el("span", { class: "bad" }, number(data.dropped)) : number(0))));
  }

  function drawTime(data) {
    const { clock: found = {}, uptime_s: up } = data;
    const sure = ["ntp", "nts"].includes(found.tq);
    replace(clock, el("h2", {}, words.text("clock")),
      el("p", { class: sure ? "good" : "doubt" }, el("strong", {}, terms.word("clock", found.tq)),
        !sure && found.unsynced_s ? ` · ${words.text("unsynced", { span: span(found.unsynced_s) })}` : ""),
      el("dl", { class: "facts" },
        row("box_time", typeof found.wall_s === "number" ? `${new Date(found.wall_s * 1000).toISOString().replace("T", " ").slice(0, 19)} UTC` : "–"),
        row("difference", typeof found.wall_s === "number" ? `${number(found.wall_s - Date.now() / 1000)} s` : "–"),
        row("steps", number(found.steps ?? 0)),
        row("up", span(up))));
  }

  return {
    part(name, data) {
      if (name === "link") drawLink(data ?? {});
      if (name === "queue") drawQueue(data);
      if (name === "time") drawTime(data ?? {});
    },
  };
}
