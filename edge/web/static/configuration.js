// The site file: how its last change fares, what a change would do, and the change itself.

import { bdi, el, replace, setText } from "./dom.js";
import { number, span } from "./words.js";

export const parts = [];
const LOOK_MS = 2000;
const ANSWER_MS = 1000;
const ANSWERS = 90; // looks for root's answer, then it is lost
const WAITS_S = [600, 1800, 3600, 0];

export async function show({ main, words, session, ask, change, get, post, errorNodes }) {
  const mayChange = session.logged_in && session.settings;
  const state = el("section", { class: "panel", "aria-labelledby": "config-state" });
  const told = el("div", { role: "alert" });
  const findings = el("div", { class: "findings", "aria-live": "polite" });
  const text = el("textarea", { id: "config-text", class: "site-file", spellcheck: "false", autocapitalize: "off", wrap: "off", rows: "24" });
  const wait = el("select", { id: "config-wait" }, WAITS_S.map((seconds) => el("option", { value: seconds }, seconds ? words.text("within", { span: span(seconds) }) : words.text("no_wait"))));
  const compare = el("button", { type: "button", on: { click: () => busy(compareText) } }, words.text("compare"));
  const apply = el("button", { type: "button", class: "main-act", disabled: true, on: { click: () => busy(applyText) } }, words.text("apply"));
  const again = el("button", { type: "button", on: { click: () => busy(load) } }, words.text("load"));
  const editor = el("section", { hidden: true },
    el("h2", {}, words.text("file")),
    el("p", { class: "quiet" }, words.text("file_help")),
    el("label", { for: "config-text" }, words.text("label")), text,
    el("div", { class: "row" }, compare, again),
    findings,
    el("div", { class: "row" }, el("label", { for: "config-wait" }, words.text("wait")), wait, apply));
  let base = "";
  let compared = null; // the text that was compared last
  let signed = false;
  let watched = false; // what the buttons ask for can be answered
  let tried = false; // to load the file that is there
  let loads = false;
  let closed = false;
  main.append(state, told, mayChange ? editor : el("p", { class: "quiet" }, words.text("locked")));

  async function busy(work) {
    if (!watched) return;
    for (const each of [compare, apply, again]) each.disabled = true;
    replace(told);
    try {
      await work();
    } catch (error) {
      replace(told, errorNodes(error));
    }
    compare.disabled = again.disabled = false;
    apply.disabled = signed || compared === null || compared !== text.value;
  }

  text.addEventListener("input", () => { apply.disabled = true; });

  async function load() {
    const found = await change("config_step", { op: "text" });
    text.value = found.text;
    base = found.digest;
    compared = null;
    replace(findings);
  }

  async function compareText() {
    const sent = text.value;
    const found = await change("config_step", { op: "diff", text: sent });
    compared = found.errors.length ? null : sent;
    drawFindings(found);
    findings.scrollIntoView({ block: "nearest" });
  }

  function drawFindings(found) {
    const rows = (list, kind) => list.map((each) => el("li", { class: kind },
      el("button", { type: "button", class: "line", on: { click: () => goTo(each.line) } }, words.text("line", { line: number(each.line) })),
      " ", el("span", { class: "word" }, words.text(kind)), " ", bdi(each.key), ": ", el("span", { lang: "en" }, bdi(each.text))));
    replace(findings,
      found.errors.length || found.warnings.length ? el("ul", { class: "plain" }, rows(found.errors, "error"), rows(found.warnings, "warning")) : null,
      found.errors.length ? el("p", { class: "bad" }, words.text("unusable")) : [
        el("h3", {}, words.text("changes")),
        found.changes.length ? el("ul", { class: "plain code", lang: "en" }, found.changes.map((each) => el("li", {}, bdi(each.text)))) : el("p", {}, words.text("same")),
        el("h3", {}, words.text("meaning")),
        el("ul", { class: "plain", lang: "en" }, found.meaning.map((each) => el("li", {}, bdi(each)))),
        el("p", {}, el("strong", {}, restarts(found.restarts))),
      ]);
  }

  function restarts(list) {
    if (!list.length) return words.text("restarts_nothing");
    if (list.includes("daemon")) return words.text("restarts_daemon");
    return words.nodes("restarts_some", { what: bdi(list.join(", ")) });
  }

  function goTo(line) {
    const lines = text.value.split("\n");
    const begin = lines.slice(0, Math.max(0, line - 1)).join("\n").length + (line > 1 ? 1 : 0);
    text.focus();
    text.setSelectionRange(begin, begin + (lines[line - 1] ?? "").length);
    text.scrollTop = Math.max(0, line - 5) * (text.scrollHeight / Math.max(1, lines.length));
  }

  async function applyText() {
    const { id } = await post("/api/config", { text: text.value, base, confirm_s: Number(wait.value) });
    replace(told, el("p", {}, words.text("sent")));
    state.scrollIntoView({ block: "start" }); // what comes of it, and how to confirm it, is said there
    for (let looks = 0; looks < ANSWERS && !closed; looks += 1) {
      await new Promise((done) => setTimeout(done, ANSWER_MS));
      const answer = await get(`/api/config/${id}`);
      if (answer.state === "waiting" || (answer.state === "replaced" && !answer.text)) continue;
      loads = answer.state === "taken"; // when the gateway answers again
      replace(told, el("p", { class: answer.state === "taken" ? "good" : "bad" }, words.text(`answer_${answer.state}`)),
        answer.text ? el("p", { lang: "en" }, bdi(answer.text)) : null,
        answer.errors?.length ? el("ul", { class: "plain" }, answer.errors.map((each) => el("li", {}, words.text("line", { line: number(each.line) }), " ", bdi(`${each.key}: ${each.text}`)))) : null);
      await look();
      return;
    }
    replace(told, el("p", { class: "bad" }, words.text("lost")));
  }

  const heading = el("h2", { id: "config-state" }, words.text("state"));
  const line = el("p", { class: "verdict", role: "status" }, words.text("waiting"));
  const more = el("div", {});
  const confirm = el("button", { type: "button", class: "main-act", on: { click: () => busy(() => step("confirm")) } }, words.text("confirm"));
  const back = el("button", { type: "button", on: { click: () => busy(() => step("rollback")) } }, words.text("rollback"));
  const acts = el("div", { class: "row", hidden: true }, confirm, back);
  state.append(heading, line, more, acts);
  let trial = null;

  async function step(op) {
    await change("config_step", { op, digest: trial.digest });
    await look();
  }

  async function look() {
    try {
      drawState(await ask("config"));
      if (loads) await load();
      loads = false;
      if (!tried && mayChange && watched) {
        tried = true;
        await busy(load);
      }
    } catch (error) {
      line.className = "verdict doubt";
      replace(line, errorNodes(error));
      replace(more);
      acts.hidden = true;
      if (!base) tried = false;
    }
  }

  function drawState(found) {
    signed = found.signed;
    watched = found.state !== "unwatched";
    editor.hidden = !watched;
    trial = found.trial;
    const mark = { trial: "doubt", rolled_back: "bad" }[found.state] ?? "good";
    line.className = `verdict ${mark}`;
    setText(line, words.text(`state_${found.state}`));
    const rows = [
      found.text ? el("p", { lang: "en" }, bdi(found.text)) : null,
      found.reason ? el("p", {}, words.text(`reason_${found.reason}`)) : null,
      found.state === "rolled_back" && mayChange ? el("p", {}, words.text("after_rollback")) : null,
      found.signed ? el("p", {}, words.text("signed")) : null,
      found.changed && found.state !== "rolled_back" ? el("p", {}, words.text("changed")) : null,
      found.waiting ? el("p", {}, words.text("under_way"), " ", el("span", { lang: "en" }, bdi(found.waiting))) : null,
    ];
    if (trial) {
      if (trial.confirm_left_s !== null) rows.push(el("p", { class: "countdown" }, el("strong", {}, words.text("left", { span: span(trial.confirm_left_s) }))));
      if (trial.vouched) rows.push(el("p", {}, words.text("vouched")));
      if (trial.health_left_s !== null) rows.push(el("p", {}, words.text("health_left", { span: span(trial.health_left_s) })));
      if (trial.held) rows.push(el("p", {}, words.text("held"), " ", el("span", { lang: "en" }, bdi(trial.held))));
    }
    replace(more, rows);
    acts.hidden = !trial || !mayChange;
    confirm.hidden = !trial || trial.vouched || !trial.confirm_s;
  }

  await look();
  const timer = setInterval(look, LOOK_MS);
  return {
    part() {},
    close() {
      closed = true;
      clearInterval(timer);
    },
  };
}
