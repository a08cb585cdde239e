// The login: one secret, which is on the label inside the door.

import { ApiError, post } from "./api.js";
import { bdi, el, replace } from "./dom.js";

export async function showLogin(main, { session, words, errorNodes, done }) {
  const input = el("input", {
    id: "secret", type: "password", autocomplete: "current-password", autocapitalize: "none", spellcheck: "false",
    required: true, maxlength: "256", "aria-describedby": "where",
  });
  const told = el("p", { class: "bad", role: "alert" });
  const button = el("button", { type: "submit", class: "main-act" }, words.text("login"));
  const form = el("form", {
    class: "login",
    on: {
      submit: async (event) => {
        event.preventDefault();
        button.disabled = true;
        replace(told);
        try {
          await post("/api/login", { secret: input.value.trim() });
          await done();
        } catch (error) {
          replace(told, errorNodes(error));
          if (error instanceof ApiError && error.code === "wrong_secret") input.select();
        } finally {
          button.disabled = false;
        }
      },
    },
  },
  // whoever keeps passwords asks for a name, too
  el("input", { type: "text", name: "username", autocomplete: "username", value: session.gateway, readonly: true, hidden: true }),
  el("label", { for: "secret" }, words.text("secret")), input,
  el("p", { id: "where", class: "hint" }, words.text("secret_where")),
  button, told);
  const none = session.no_login
    ? el("p", { class: "bad" }, words.text("error.no_login"), " ", el("span", { class: "detail", lang: "en" }, bdi(session.no_login)))
    : null;
  replace(main, el("h1", {}, words.text("login")), none, form,
    el("details", {}, el("summary", {}, words.text("fingerprint")),
      el("p", {}, words.text("fingerprint_why")), el("p", { class: "code" }, session.fingerprint)));
  input.focus();
}
