// Words of closed lists (qualities, conditions, faults, kinds of issues), units as people write them, and names.

import { bdi, breakable, el, prose } from "./dom.js";
import { currentLanguage, loadWords } from "./words.js";

const UNITS = { Cel: "°C", "%RH": "%", "ug/m3": "µg/m³", um: "µm", "1/cm3": "1/cm³", Ohm: "Ω", m3: "m³", "m3/h": "m³/h", deg: "°", 1: "", "/": "" };

export async function loadTerms() {
  const [terms, issues] = await Promise.all([loadWords("terms"), loadWords("issues")]);
  return new Terms(terms, issues);
}

export const unitText = (unit) => UNITS[unit] ?? unit ?? "";

export class Terms {
  constructor(words, issues) {
    Object.assign(this, { words, issues });
  }

  // A word of a list; one that is newer than this page is shown as it is
  word(list, key) {
    const whole = `${list}.${key}`;
    return this.words.has(whole) ? this.words.text(whole) : String(key ?? "");
  }

  // "bad:crc" -> "bad: damaged on the wire"
  quality(word) {
    const [grade, reason] = String(word).split(":");
    const said = this.word("grade", grade);
    return reason ? `${said} · ${this.word("reason", reason)}` : said;
  }

  // "trail_chatter" of a lane
  health(word) {
    const text = String(word);
    if (this.words.has(`health.${text}`)) return this.words.text(`health.${text}`);
    if (text.startsWith("trail_")) return this.words.text("trail", { fault: this.health(text.slice(6)) });
    return this.word("fault", text);
  }

  // What a line is for: "loop", "door", "loading bay"
  kind(word) {
    return String(word).endsWith("bay") ? this.words.text("bay") : this.word("kind", word);
  }

  // The point with its id beside it
  pointNodes(key) {
    const name = this.point(key);
    return name === key ? [breakable(key)] : [name, " ", el("span", { class: "id" }, breakable(key))];
  }

  // Of one phase or tariff (power_l1) it is that of the whole, and which one; one that is not known stays as it is
  point(key) {
    if (this.words.has(`point.${key}`)) return this.words.text(`point.${key}`);
    const cut = key.lastIndexOf("_");
    const [whole, part] = [key.slice(0, cut), key.slice(cut + 1)];
    if (!this.words.has(`point.${whole}`) || !this.words.has(`point_of.${part}`)) return key;
    return this.words.text(`point_of.${part}`, { point: this.words.text(`point.${whole}`) });
  }

  // What is wrong, in a line, with the name of what it is about
  issueNodes(issue, names) {
    const about = issue.about ? nameNodes(issue.about, { ...names, [issue.about]: issue.name ?? names?.[issue.about] }) : "";
    if (!this.issues.has(issue.kind)) return [issue.kind, " ", about];
    const nodes = this.issues.nodes(issue.kind, { about: el("span", {}, about) });
    return issue.about && !this.issues.table[issue.kind].includes("{about}") ? [nodes, ": ", about] : nodes;
  }

  remedyNodes(issue) {
    const own = this.issues.has(`${issue.kind}.remedy`) ? [prose(this.issues.text(`${issue.kind}.remedy`, { about: issue.about }))] : [];
    if (currentLanguage() !== "en") return own;
    return issue.remedy ? [prose(issue.remedy)] : own;
  }
}

// The display name with the id beside it: people read the one, programs the other
export function nameNodes(id, names) {
  const name = names?.[id];
  return name && name !== id ? [bdi(name), " ", el("span", { class: "id" }, bdi(id))] : [bdi(id)];
}
