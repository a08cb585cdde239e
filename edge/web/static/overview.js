// What is right, what is wrong, since when, and what to do.

import { bdi, el, Keyed, prose, replace } from "./dom.js";
import { loadTerms, nameNodes } from "./terms.js";
import { currentLanguage, listed, number, span } from "./words.js";

export const parts = ["box", "issues", "link", "queue", "lanes", "devices", "time"];

export async function show({ main, words }) {
  const terms = await loadTerms();
  const held = { box: {}, issues: null };
  const verdict = el("p", { class: "verdict", role: "status" }, words.text("waiting"));
  const site = el("p", { class: "quiet" });
  const issues = el("div", { class: "issues" });
  const right = el("ul", { class: "right" });
  main.append(verdict, site, issues, el("h2", {}, words.text("right")), right);
  const list = new Keyed(issues, (each) => `${each.kind} ${each.about}`, () => el("article", { class: "panel issue" }), (card, each) => draw(card, each));

  function draw(card, issue) {
    card.className = `panel issue ${issue.severity}`;
    const since = typeof issue.for_s === "number" ? words.text("since", { span: span(issue.for_s) }) : words.text("since_unknown");
    const foreign = currentLanguage() !== "en";
    const cause = issue.cause ? el("p", { lang: "en" }, prose(issue.cause)) : null;
    const own = [cause, issue.remedy ? el("p", { lang: "en" }, prose(issue.remedy)) : null];
    const open = card.querySelector("details")?.open;
    replace(card,
      el("h2", {}, el("span", { class: "word" }, terms.word("severity", issue.severity)), " ", terms.issueNodes(issue, held.box.names)),
      el("p", { class: "quiet" }, since, " · ", words.text(issue.told ? "told" : "untold")),
      foreign ? null : cause,
      el("p", {}, el("strong", {}, words.text("remedy")), " ", terms.remedyNodes(issue)),
      foreign && (issue.cause || issue.remedy) ? el("details", { open }, el("summary", {}, words.text("detail")), own) : null);
  }

  function drawRight() {
    const { lanes = [], devices = [], link, queue, time } = held;
    const loops = lanes.flatMap((each) => each.loops ?? []);
    const rows = [];
    if (lanes.length) rows.push([loops.every((each) => each.on !== null), words.text("lanes", { good: number(loops.filter((each) => each.on !== null).length), all: number(loops.length) }), "#/lanes"]);
    if (devices.length) rows.push([devices.every((each) => each.state === "ok"), words.text("devices", { good: number(devices.filter((each) => each.state === "ok").length), all: number(devices.length) }), "#/devices"]);
    if (link) rows.push([link.connected, words.text(link.connected ? "linked" : "unlinked", { span: span(link.for_s) }), "#/queue"]);
    if (queue) rows.push([!queue.in_memory, words.text("queue", { rows: number(queue.rows - queue.confirmed) }), "#/queue"]);
    if (time?.clock) rows.push([["ntp", "nts"].includes(time.clock.tq) || "doubt", words.text("clock", { state: terms.word("clock", time.clock.tq) }), "#/queue"]);
    if (time) rows.push([true, words.text("up", { span: span(time.uptime_s) }), ""]);
    replace(right, rows.map(([state, text, href]) => {
      const [name, mark] = state === "doubt" ? ["doubt", "?"] : state ? ["good", "✓"] : ["bad", "✗"];
      return el("li", { class: name }, el("span", { class: "mark", "aria-hidden": "true" }, mark), " ",
        el("span", { class: "unseen" }, words.text(`mark_${name}`), " "), href ? el("a", { href }, text) : text);
    }));
  }

  return {
    part(name, data) {
      held[name] = data;
      if (name === "box") replace(site, data.site_name ? [bdi(data.site_name), " ", el("span", { class: "id" }, bdi(data.site))] : bdi(data.site));
      if (name === "issues" || (name === "box" && held.issues)) {
        const faults = held.issues.filter((each) => each.severity === "fault").length;
        const warnings = held.issues.length - faults;
        verdict.className = `verdict ${faults ? "bad" : warnings ? "doubt" : "good"}`;
        const told = [faults ? words.count("faults", faults) : "", warnings ? words.count("warnings", warnings) : ""].filter(Boolean);
        replace(verdict, told.length ? listed(told) : words.text("well"));
        list.show(held.issues);
      }
      if (name !== "issues") drawRight();
    },
  };
}
