// The doctor: started here, with its progress, and what it found.

import { bdi, el, prose, replace } from "./dom.js";
import { loadTerms } from "./terms.js";
import { loadWords, number, span } from "./words.js";

const LOOK_MS = 1000;
const ORDER = { fault: 0, warning: 1, note: 2, "not checked": 3, ok: 4 };

export async function show({ main, words, session, get, post, errorNodes }) {
  const [terms, checks] = await Promise.all([loadTerms(), loadWords("checks")]);
  let timer = 0;
  let closed = false;
  const told = el("p", { class: "bad", role: "alert" });
  const state = el("p", { role: "status" });
  const bar = el("progress", { max: 1, hidden: true, "aria-label": words.text("progress") });
  const found = el("div", {});
  const start = el("button", {
    type: "button", class: "main-act", disabled: !session.logged_in,
    on: { click: async () => {
      start.disabled = true;
      try {
        draw(await post("/api/doctor"));
      } catch (error) {
        replace(told, errorNodes(error));
        start.disabled = false;
      }
    } },
  }, words.text("start"));
  main.append(el("p", {}, words.text("what")), start, told, state, bar, found);
  if (!session.logged_in) replace(told, words.text("login_first"));

  const checkNodes = (id) => (checks.has(`check.${id}`) ? checks.text(`check.${id}`) : id);

  function draw(answer) {
    replace(told);
    start.disabled = answer.running;
    bar.hidden = !answer.running;
    if (answer.running) {
      // how long it takes depends on who does not answer: a bar that slows down, and the seconds in words
      bar.value = 1 - 1 / (1 + answer.for_s / 15);
      replace(state, words.text("running", { span: span(answer.for_s), most: span(answer.most_s) }));
      clearTimeout(timer);
      timer = closed ? 0 : setTimeout(look, LOOK_MS);
      return replace(found);
    }
    replace(state, answer.for_s === null ? "" : words.text("ended", { age: span(answer.for_s) }));
    if (answer.problem) return replace(found, el("p", { class: "bad" }, words.text("failed"), " ", el("span", { class: "detail", lang: "en" }, bdi(answer.problem))));
    if (answer.answer) drawReport(answer.answer);
  }

  function drawReport(report) {
    const rows = [...(report.findings ?? [])].sort((a, b) => (ORDER[a.severity] ?? 9) - (ORDER[b.severity] ?? 9));
    const all = report.checks ?? [];
    const counts = ["fault", "warning", "not checked", "ok"].map((each) => [each, all.filter((one) => one.outcome === each).length]).filter(([, n]) => n);
    replace(found,
      el("p", { class: "verdict" }, counts.map(([each, n]) => `${number(n)} ${terms.word("outcome", each)}`).join(" · ") || words.text("nothing")),
      rows.map((each) => el("article", { class: `panel issue ${each.severity}` },
        el("h2", {}, el("span", { class: "word" }, terms.word("outcome", each.severity)), " ", checkNodes(each.check), each.about ? [" ", bdi(each.about)] : null),
        el("p", { lang: "en" }, prose(each.sentence)), each.remedy ? el("p", { lang: "en" }, el("strong", {}, "→ "), prose(each.remedy)) : null)),
      el("details", {}, el("summary", {}, words.text("all", { n: number(all.length) })),
        el("div", { class: "wide" }, el("table", {}, el("tbody", {}, all.map((each) => el("tr", {},
          el("td", { class: each.outcome === "ok" ? "good" : each.outcome === "fault" ? "bad" : "doubt" }, terms.word("outcome", each.outcome)),
          el("td", {}, checkNodes(each.id), each.about ? [" ", el("span", { class: "quiet" }, bdi(each.about))] : null))))))));
  }

  async function look() {
    try {
      draw(await get("/api/doctor"));
    } catch (error) {
      replace(told, errorNodes(error));
    }
  }

  if (session.logged_in) look();
  return {
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
