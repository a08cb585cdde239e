// The last lines of the log, the newest first.

import { bdi, el, replace } from "./dom.js";

export async function show({ main, words, session, get, errorNodes }) {
  const told = el("p", { role: "status" });
  const list = el("ol", { class: "log" });
  const choice = el("select", { id: "level", on: { change: () => look() } },
    el("option", { value: "all" }, words.text("all")), el("option", { value: "warning" }, words.text("warnings")));
  const again = el("button", { type: "button", on: { click: () => look() } }, words.text("again"));
  main.append(el("p", { class: "row" }, el("label", { for: "level" }, words.text("level")), " ", choice, " ", again), told, list);
  const stamp = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" }); // 2026-12-01 08:17:56 in each language

  async function look() {
    if (!session.logged_in) return replace(told, words.text("login_first"));
    again.disabled = true;
    try {
      const found = await get(`/api/log?level=${choice.value}`);
      replace(told, found.problem ? [words.text("none"), " ", el("span", { class: "detail", lang: "en" }, bdi(found.problem))] : words.count("lines", found.lines.length));
      replace(list, found.lines.map((each) => el("li", { class: each.priority <= 3 ? "bad" : each.priority === 4 ? "doubt" : "" },
        el("span", { class: "quiet" }, stamp.format(each.wall_s * 1000), " ", bdi(each.unit.replace(/\.service$/, "")), each.priority <= 4 ? ` · ${words.text(each.priority <= 3 ? "error" : "warning")}` : ""),
        el("br"), el("span", { lang: "en" }, bdi(each.text)))));
    } catch (error) {
      replace(told, errorNodes(error));
    }
    again.disabled = false;
  }

  look();
  return {};
}
