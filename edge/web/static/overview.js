// What is right, what is wrong, since when, and what to do.

import { bdi, el, replace } from "./dom.js";

export const parts = ["box", "issues"];

export async function show({ main, words }) {
  const list = el("div", {}, words.text("waiting"));
  main.append(list);
  return {
    part(name, data) {
      if (name !== "issues") return;
      replace(list, data.map((each) => el("p", {}, bdi(each.text ?? each.name))));
    },
  };
}
