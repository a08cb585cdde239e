// Commissioning: each step with what was found, drives over lanes as they happen, fields to fill in, the acceptance sheet.

import { add, bdi, el, Keyed, replace, setText, withCode } from "./dom.js";
import { nameNodes } from "./terms.js";
import { loadWords, measured, number, span } from "./words.js";

export const parts = ["box"];
const DRIVE_MS = 700;
const REST_MS = 10000;
const FIELDS = { inductance_uh: "50–750 µH", q: "≥ 5", resistance_ohm: "< 5 Ω", insulation_mohm: "≥ 10 MΩ" };
const MARKS = { passed: "✓", failed: "✗", doubtful: "?", unproven: "–" };
const TONES = { passed: "good", failed: "bad", doubtful: "doubt", unproven: "quiet" };
const TESTED = ["device", "contact", "pulses", "bay", "signal", "record"];

export async function show({ main, words, shell, session, ask, change, errorNodes }) {
  const findings = await loadWords("findings");
  const may = session.logged_in && session.settings;
  let names = {};
  let state = null;
  let timer = 0;
  let closed = false;

  const told = el("p", { role: "alert", class: "bad" });
  const head = el("p", { role: "status" }, words.text("waiting"));
  const begin = el("form", { class: "panel fields", on: { submit: onBegin } });
  const steps = el("div", {});
  const found = el("section", { class: "panel", hidden: true });
  const sign = el("form", { class: "panel fields", on: { submit: onSign } });
  const sheets = el("div", { class: "row sheets" });
  const onward = el("button", { type: "button", class: "main-act", on: { click: goOn } });
  const bar = el("div", { class: "onward", hidden: true }, onward);
  let current = ""; // the step that somebody was at last
  let following = ""; // the step to do next, "" where only the signature is left
  let queue = Promise.resolve(); // one thing at a time
  add(main, [el("p", { class: "hint" }, words.text("hint")), may ? null : el("p", { class: "doubt" }, session.logged_in ? shell.text("error.settings_locked") : words.text("login_first")), head, told, begin, steps, found, sign, sheets, bar]);

  const who = input("text", { name: "by", maxlength: "64", required: true, autocomplete: "name" });
  begin.append(label("name", who), button("begin", "main-act", "submit"));
  const signer = input("text", { name: "by", maxlength: "64", required: true, autocomplete: "name" });
  const note = input("text", { name: "note", maxlength: "500" });
  const reserved = el("input", { type: "checkbox", disabled: !may });
  const reserve = el("label", { class: "check" }, reserved, words.text("reservations"));
  sign.append(el("h2", {}, words.text("sign")), el("p", { class: "hint" }, words.text("sign_hint")), label("name", signer), label("note", note), reserve, button("sign", "main-act", "submit"));
  const foundTold = place(found);
  const signTold = place(sign);
  const beginTold = place(begin);


  function input(type, more = {}) {
    return el("input", { type, disabled: !may, ...more });
  }

  function button(key, kind = "", type = "button", act = null) {
    return el("button", { type, class: kind, disabled: !may, on: act ? { click: act } : {} }, words.text(key));
  }

  function label(key, control, hint = "") {
    return el("label", { class: "field" }, el("span", {}, words.text(key), hint ? el("span", { class: "quiet" }, " ", hint) : null), control);
  }

  // Where a panel says what is under way, and what went wrong: beside the finger, not at the top
  function place(panel) {
    const made = el("p", { role: "alert", class: "quiet" });
    panel.append(made);
    return made;
  }

  // One thing after the other: whatever is answered is shown, whatever goes wrong is said.
  function act(what, where) {
    queue = queue.then(() => acted(what, where));
    return queue;
  }

  async function acted(what, where) {
    setText(told, "");
    where.className = "quiet";
    setText(where, words.text("working"));
    main.setAttribute("aria-busy", "true");
    try {
      draw(await change("commission_step", what));
      setText(where, "");
      return true;
    } catch (error) {
      where.className = "bad";
      replace(where, errorNodes(error));
      where.scrollIntoView({ block: "nearest" });
      return false;
    } finally {
      main.removeAttribute("aria-busy");
    }
  }

  function goOn() {
    const target = following ? keyed.elements.get(following) : sign;
    if (following) {
      current = following;
      target.open = true;
    }
    target.scrollIntoView({ block: "start" });
    (following ? target.parts.summary : signer).focus({ preventScroll: true });
    drawOnward();
  }

  // The first step behind the one somebody was at that has not passed; from the top again, then the signature
  function drawOnward() {
    const left = state.steps.filter((row) => row.verdict !== "passed" && row.kind !== "left_out");
    const at = state.steps.findIndex((row) => row.id === current);
    const next = left.find((row) => state.steps.indexOf(row) > at) ?? left.find((row) => row.id !== current);
    following = next?.id ?? "";
    bar.hidden = !state.open || !may || Boolean(state.drive?.running);
    replace(onward, words.text("next"), " ", next ? titleNodes(next) : words.text("sign"));
  }

  function titleNodes(row) {
    return [words.text(`kind.${row.kind}`), row.subject ? [" ", nameNodes(row.subject, names)] : null];
  }

  async function onBegin(event) {
    event.preventDefault();
    await act({ act: "begin", by: who.value.trim() }, beginTold);
  }

  async function onSign(event) {
    event.preventDefault();
    if (!(await act({ act: "sign", by: signer.value.trim(), note: note.value.trim(), reservations: reserved.checked }, signTold))) return;
    reserved.checked = false;
    sheets.scrollIntoView({ block: "center" });
  }

  const keyed = new Keyed(steps, (row) => row.id, makeStep, drawStep);

  function makeStep(row) {
    const node = el("details", { class: "panel step" });
    node.parts = { summary: el("summary", {}), said: el("div", {}), acts: el("div", { class: "acts" }), drive: el("div", {}), fields: {} };
    node.append(node.parts.summary, node.parts.said, node.parts.acts, node.parts.drive);
    node.parts.told = place(node);
    const doing = (what) => {
      current = row.id;
      return act(what, node.parts.told);
    };
    node.parts.doing = doing;
    node.open = row.verdict !== "passed" && row.verdict !== "unproven";
    const acts = node.parts.acts;
    if (TESTED.includes(row.kind)) acts.append(button("test", "", "button", () => doing({ act: "test", step: row.id })));
    if (row.kind === "device") {
      const direction = el("select", { disabled: !may, on: { change: () => doing({ act: "field", step: row.id, key: "direction", value: direction.value }) } },
        ["import", "export", "either"].map((each) => el("option", { value: each }, words.text(`direction.${each}`))));
      node.parts.direction = direction;
      acts.append(el("details", {}, el("summary", {}, words.text("more")), label("direction", direction)));
    }
    if (row.kind === "lane") {
      const speed = input("number", { min: "3", max: "200", step: "any", inputmode: "decimal" });
      acts.append(label("speed", speed, "km/h"), button("drive", "main-act", "button", () =>
        doing({ act: "drive", lane: row.subject, speed_kmh: speed.value === "" ? null : Number(speed.value), length_m: null })));
    }
    if (row.kind === "loop") {
      for (const [key, limit] of Object.entries(FIELDS)) {
        const field = input("number", { min: "0", step: "any", inputmode: "decimal", on: { change: () =>
          doing({ act: "field", step: row.id, key, value: field.value === "" ? null : Number(field.value) }) } });
        node.parts.fields[key] = field;
        acts.append(label(key, field, limit));
      }
    }
    if (row.kind === "scan") acts.append(el("p", { class: "hint" }, words.text("scan_hint")), el("p", { class: "code" }, "sudo kerbstone commission scan"));
    return node;
  }

  function drawStep(node, row) {
    const word = words.text(row.verdict);
    const title = row.subject ? nameNodes(row.subject, names) : words.text(`kind.${row.kind}`);
    replace(node.parts.summary, el("span", { class: `verdict ${TONES[row.verdict]}` }, `${MARKS[row.verdict]} ${word}`), " ",
      row.subject ? el("span", { class: "quiet" }, words.text(`kind.${row.kind}`), " ") : null, el("strong", {}, title));
    const stale = row.stale ? el("p", { class: "doubt" }, words.text(`stale.${row.stale}`)) : null;
    replace(node.parts.said, stale, row.findings.map(findingNodes),
      row.by ? el("p", { class: "quiet" }, words.nodes("done_by", { by: bdi(row.by) })) : null);
    if (node.parts.direction && document.activeElement !== node.parts.direction) node.parts.direction.value = row.fields.direction ?? "import";
    for (const [key, field] of Object.entries(node.parts.fields)) if (document.activeElement !== field) field.value = row.fields[key] ?? "";
    drawDrive(node.parts, row);
  }

  function findingNodes(one) {
    const known = findings.has(one.kind);
    const own = words.has(`do.${one.kind}`) ? words : findings; // what to do here, where the sentence is of the command
    const key = own === words ? `do.${one.kind}` : `${one.kind}.remedy`;
    const remedy = own.has(key) ? withCode(own.nodes(key, figures(one))) : one.remedy ? withCode([one.remedy]) : [];
    return el("div", { class: "finding" },
      el("p", { class: TONES[one.verdict] }, known ? findings.nodes(one.kind, figures(one)) : bdi(one.text)),
      remedy.length ? el("p", { class: "do" }, words.text("do"), " ", remedy) : null);
  }

  // New nodes each time: one that stands in the sentence cannot stand in the remedy, too.
  function figures(one) {
    const found = Object.fromEntries(Object.entries(one.figures).map(([key, value]) => [key, typeof value === "number" ? measured(value) : bdi(value)]));
    const { field, missing, level, how } = one.figures;
    if (field in FIELDS) Object.assign(found, { what: words.text(field), limit: FIELDS[field], look: words.text(`look.${field}`) });
    if (missing) found.missing = missing.split(", ").map((each) => (each in FIELDS ? words.text(each) : each)).join(", ");
    if (words.has(`level.${level}`)) found.level = words.text(`level.${level}`);
    if (words.has(`how.${how}`)) found.how = words.text(`how.${how}`);
    return found;
  }

  function drawDrive({ acts, drive: place, doing }, row) {
    if (row.kind !== "lane") return;
    const drive = state.drive?.lane === row.subject ? state.drive : null;
    acts.hidden = drive !== null && drive.running;
    if (!drive) return replace(place);
    const list = drive.passages.map((each) => el("li", {},
      words.text("ago", { age: span(each.age_s) }), " · ", el("span", { class: "code" }, each.loops.join(" → ")),
      each.speed_kmh === null ? "" : ` · ${measured(each.speed_kmh)} km/h`, each.length_m === null ? "" : ` · ${measured(each.length_m)} m`,
      each.mine ? el("strong", {}, " · ", words.text("mine")) : null,
      drive.running || each.mine ? null : button("choose", "", "button", () => doing({ act: "finish", mine: each.at_ms }))));
    if (drive.running) {
      replace(place, el("p", { role: "status", class: "now" }, words.text("drive_now", { left: span(drive.left_s) })),
        el("ul", { class: "plain" }, list),
        el("div", { class: "acts" }, button("passed_it", "main-act", "button", () => doing({ act: "finish", mine: null })), button("cancel", "", "button", () => doing({ act: "cancel" }))));
    } else {
      replace(place, list.length ? [el("p", { class: "quiet" }, words.text("passages")), el("ul", { class: "plain" }, list)] : null);
    }
  }

  function drawFound() {
    const open = state.found.filter((each) => !each.matched && each.state !== "dismissed");
    found.hidden = !open.length;
    if (!open.length || found.contains(document.activeElement)) return;
    replace(found, el("h2", {}, words.text("found")), foundTold, open.map((each) => {
      const name = input("text", { maxlength: "64", pattern: "[A-Za-z0-9_][A-Za-z0-9_.:\\-]*" });
      name.value = each.name;
      return el("div", { class: "acts" }, el("p", {}, bdi(each.what), " · ", el("span", { class: "code" }, bdi(each.place))),
        label("device_name", name), button("give_name", "", "button", () => act({ act: "name", id: each.id, name: name.value.trim() }, foundTold)),
        button("dismiss", "", "button", () => act({ act: "dismiss", id: each.id }, foundTold)));
    }));
  }

  async function save(form) {
    setText(told, "");
    try {
      const answer = await ask("commission", { form });
      const data = form === "html" ? answer.page : JSON.stringify(answer.file, null, 1);
      const address = URL.createObjectURL(new Blob([data], { type: form === "html" ? "text/html" : "application/json" }));
      const link = el("a", { href: address, download: `acceptance-${answer.number}.${form}` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(address), 60000);
    } catch (error) {
      replace(told, errorNodes(error));
    }
  }

  function draw(answer) {
    state = answer;
    const accepted = answer.acceptance;
    const counts = Object.entries(answer.counts).map(([word, count]) => `${number(count)} ${words.text(word)}`).join(" · ");
    const by = answer.open ? answer.by : accepted.by;
    replace(head, el("strong", {}, words.nodes(answer.open ? "state.by" : `state.${accepted.state}`,
      { by: by ? bdi(by) : words.text("somebody"), date: (accepted.at ?? "").slice(0, 10), number: number(accepted.number ?? 0) })), " ", counts);
    if (!who.value) who.value = answer.by;
    if (!signer.value) signer.value = answer.by;
    begin.hidden = answer.open;
    sign.hidden = !answer.open;
    reserve.hidden = answer.would_be === "accepted";
    keyed.show(answer.steps);
    drawFound();
    drawOnward();
    replace(sheets, answer.last_sheet && session.logged_in ? [el("span", { class: answer.open ? "" : "good" }, words.text("sheet", { number: number(answer.last_sheet) })),
      ...["html", "json"].map((form) => el("button", { type: "button", on: { click: () => save(form) } }, words.text(`save.${form}`)))] : null);
    plan();
  }

  function plan() {
    clearTimeout(timer);
    if (!closed) timer = setTimeout(look, state?.drive?.running ? DRIVE_MS : REST_MS);
  }

  async function look() {
    try {
      draw(await ask("commission"));
    } catch (error) {
      replace(told, errorNodes(error));
      plan();
    }
  }

  await look();
  return {
    part(name, data) {
      if (name !== "box") return;
      names = data.names ?? {};
      if (!state) return;
      keyed.show(state.steps);
      drawOnward();
    },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
