// Flags of models and rules that are up, why, and those that have turned.

import { bdi, el, replace } from "./dom.js";
import { loadTerms, nameNodes } from "./terms.js";
import { number, span } from "./words.js";

export const parts = ["box"];
const AGAIN_MS = 5000;

export async function show({ main, words, ask, errorNodes }) {
  const terms = await loadTerms();
  let names = {};
  let timer = 0;
  let closed = false;
  const told = el("p", { class: "bad", role: "alert" });
  const up = el("div", { role: "status" }, words.text("waiting"));
  const turned = el("ol", { class: "plain" });
  main.append(told, up, el("h2", {}, words.text("turned")), turned);

  function whatNodes(flag) {
    const what = [];
    if (flag.point) what.push(" · ", terms.point(flag.point));
    if (flag.part) what.push(" · ", terms.word("part", flag.part));
    if (flag.downstream && flag.downstream !== flag.source) what.push(" → ", nameNodes(flag.downstream, names));
    if (flag.fault) what.push(" · ", terms.word("fault", flag.fault));
    if (flag.reason && flag.event === "sensor_fault") what.push(" · ", terms.word("reason", flag.reason));
    if (flag.cause) what.push(" · ", terms.word("cause", flag.cause));
    if (flag.meant) what.push(" · ", terms.word("meant", flag.meant));
    return what;
  }

  function shares(flag) {
    const rows = [["p", "now"], ["p5", "in5"], ["p15", "in15"], ["score", "score"]].filter(([key]) => typeof flag[key] === "number");
    return rows.length ? el("p", { class: "quiet" }, rows.map(([key, word]) => `${words.text(word)} ${number(flag[key] * 100)} %`).join(" · ")) : null;
  }

  const age = (flag) => (flag.age_s === null ? words.text("before") : words.text("ago", { age: span(flag.age_s) }));

  async function look() {
    try {
      const found = await ask("flags");
      replace(told);
      replace(up, found.up.length ? found.up.map((flag) => el("article", { class: "panel issue warning" },
        el("h2", {}, el("span", { class: "word" }, terms.word("event", flag.event)), " ", nameNodes(flag.source, names), whatNodes(flag)),
        el("p", { class: "quiet" }, age(flag), flag.by ? [" · ", words.text("by"), " ", bdi(flag.by)] : null),
        shares(flag),
        flag.text ? el("p", { lang: "en", class: "detail" }, bdi(flag.text)) : null)) : el("p", { class: "good" }, words.text("none_up")));
      replace(turned, found.turned.length ? found.turned.map((flag) => el("li", {},
        el("strong", {}, words.text(flag.state === "on" ? "on" : "off")), " ", terms.word("event", flag.event), " ", nameNodes(flag.source, names), whatNodes(flag),
        " · ", el("span", { class: "quiet" }, age(flag)))) : el("li", { class: "quiet" }, words.text("none_turned")));
    } catch (error) {
      replace(told, errorNodes(error));
    }
    if (!closed) timer = setTimeout(look, AGAIN_MS);
  }

  look();
  return {
    part: (name, data) => { names = data.names ?? {}; },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
