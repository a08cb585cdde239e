// The frame around all pages: who is logged in, which page is shown, in which language, and how the daemon is.

import { ApiError, ask, change, get, post, setCsrf } from "./api.js";
import { add, bdi, el, replace, setText } from "./dom.js";
import { Live } from "./events.js";
import { showLogin } from "./login.js";
import { chooseLanguage, currentLanguage, loadWords, setLanguage, span } from "./words.js";

const NAMES = { en: "English", zh: "中文" };
let session = null;
let words = null;
let shown = null; // the page that is open: {close(), part(), live}
let turn = 0; // of page changes; one that was overtaken shows nothing

const state = el("p", { class: "state", role: "status" });
const main = el("main", { id: "main", tabindex: "-1" });
const nav = el("nav", { id: "nav" });
const top = el("header", { class: "top" });

// A sentence for a word of the server; what it says itself stands beside in its own language
export function errorNodes(error) {
  const code = error instanceof ApiError ? error.code : "fault";
  const more = error.more ?? {};
  const key = words.has(`error.${code}`) ? `error.${code}` : "error.fault";
  const nodes = words.nodes(key, { wait: span(Math.ceil(more.wait_s ?? 1)) });
  const detail = error instanceof ApiError ? error.text : String(error);
  return [nodes, detail && detail !== code ? [" ", el("span", { class: "detail", lang: "en" }, bdi(detail))] : []];
}

async function start() {
  const first = await get("/api/session");
  chooseLanguage(first.languages);
  document.body.append(
    el("button", { class: "skip", type: "button", on: { click: () => main.focus() } }, ""),
    top, state, el("div", { class: "frame" }, nav, main),
  );
  window.addEventListener("hashchange", () => route(true));
  await begin(first);
}

async function begin(found) {
  session = found;
  setCsrf(session.csrf);
  words = await loadWords("shell");
  document.title = words.text("title", { gateway: session.gateway });
  setText(document.querySelector(".skip"), words.text("skip"));
  drawTop();
  if (session.may_look) {
    drawNav();
    await route(false);
  } else {
    await leavePage();
    replace(nav);
    setText(state, "");
    await showLogin(main, { session, words, errorNodes, done: again });
  }
}

async function again() {
  await begin(await get("/api/session"));
}

function drawTop() {
  const choices = session.languages.map((each) =>
    el("button", {
      type: "button", lang: each, "aria-pressed": String(each === currentLanguage()),
      on: { click: async () => { setLanguage(each); await begin(session); } },
    }, NAMES[each] ?? each));
  const door = !session.logged_in ? [] : el("button", { type: "button", on: { click: logOut } }, words.text("logout"));
  const toLogin = session.logged_in || !session.may_look ? [] : el("button", { type: "button", on: { click: openLogin } }, words.text("login"));
  replace(top,
    el("p", { class: "box" }, bdi(session.gateway)),
    el("div", { class: "choices", role: "group", "aria-label": words.text("language") }, choices),
    door, toLogin);
}

async function logOut() {
  try {
    await post("/api/logout");
  } catch {
    // the session may have ended already
  }
  await again();
}

async function openLogin() {
  turn += 1;
  await leavePage();
  replace(nav);
  await showLogin(main, { session, words, errorNodes, done: again });
}

function drawNav() {
  const list = el("ul", {}, session.pages.map((each) =>
    el("li", {}, el("a", { href: `#/${each}` }, words.text(`page.${each}`)))));
  const menu = el("button", {
    type: "button", class: "menu", "aria-expanded": "false", "aria-controls": "nav-list",
    on: { click: () => openMenu(nav.dataset.open !== "yes") },
  }, words.text("menu"));
  list.id = "nav-list";
  nav.setAttribute("aria-label", words.text("pages"));
  replace(nav, menu, list);
}

function openMenu(open) {
  nav.dataset.open = open ? "yes" : "no";
  nav.querySelector(".menu")?.setAttribute("aria-expanded", String(open));
}

function wantedPage() {
  const [name, ...rest] = location.hash.replace(/^#\//, "").split("/");
  return { name: session.pages.includes(name) ? name : session.pages[0], rest: rest.map(decodePart) };
}

function decodePart(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function leavePage() {
  shown?.live?.close();
  shown?.close?.();
  shown = null;
}

async function route(moved) {
  if (!session?.may_look) return;
  const mine = (turn += 1);
  const { name, rest } = wantedPage();
  await leavePage();
  openMenu(false);
  for (const link of nav.querySelectorAll("a")) {
    if (link.getAttribute("href") === `#/${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  showState({ state: "connecting", text: "" });
  try {
    const [module, pageWords] = await Promise.all([import(`./${name}.js`), loadWords(name)]);
    if (mine !== turn) return;
    const title = words.text(`page.${name}`);
    document.title = words.text("page_title", { page: title, gateway: session.gateway });
    const body = el("div", { class: `page ${name}` });
    replace(main, el("h1", {}, title), body);
    if (moved) main.focus();
    const parts = module.parts ?? [];
    const page = { main: body, words: pageWords, shell: words, session, rest, ask, change, get, post, errorNodes };
    shown = { ...(await module.show(page)) };
    if (mine !== turn) return leavePage();
    shown.live = new Live(parts, (part, data) => shown?.part?.(part, data), showState, again);
  } catch (error) {
    if (mine !== turn) return;
    replace(main, el("h1", {}, words.text(`page.${name}`)), el("p", { class: "bad", role: "alert" }, errorNodes(error)));
    if (error instanceof ApiError && error.code === "login_needed" && session.logged_in) await again();
  }
}

// The row below the head: nothing when all is well
function showState(found) {
  const late = found.late_s > 2 ? [" ", words.text("late", { age: span(found.late_s) })] : [];
  const well = found.state === "ok";
  state.className = well ? "state" : `state ${found.state === "connecting" || found.state === "busy" ? "" : "wrong"}`;
  main.classList.toggle("stale", !well && found.state !== "connecting" && found.state !== "busy");
  if (well) return replace(state);
  const detail = found.text ? [" ", el("span", { class: "detail", lang: "en" }, bdi(found.text))] : [];
  replace(state, words.text(`state.${found.state}`), late, detail);
}

start().catch((error) => {
  // nothing is loaded yet that could say it in the reader's language
  add(document.body, el("p", { role: "alert" }, `Kerbstone: ${error.message}`));
});
