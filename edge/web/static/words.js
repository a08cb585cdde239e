// The words of a page in the language that is chosen, and numbers, spans and ages as people write them.

const LANGUAGES = { en: "en", zh: "zh-CN" };
const KEY = "kerbstone-language";
let language = "en";

export function chooseLanguage(known) {
  let kept = null;
  try {
    kept = localStorage.getItem(KEY);
  } catch {
    // a browser that keeps nothing asks each time
  }
  const wished = [kept, ...(navigator.languages ?? [navigator.language])].map((each) => (each ?? "").slice(0, 2).toLowerCase());
  setLanguage(wished.find((each) => known.includes(each)) ?? "en", false);
}

export function setLanguage(word, keep = true) {
  language = word;
  document.documentElement.lang = LANGUAGES[word] ?? word;
  if (!keep) return;
  try {
    localStorage.setItem(KEY, word);
  } catch {
    // as above
  }
}

export const currentLanguage = () => language;

// words/LANGUAGE/NAME.json: {"key": "text with {name}"}
export async function loadWords(name) {
  const answer = await fetch(`/words/${language}/${name}.json`);
  if (!answer.ok) throw new Error(`no words for ${name}`);
  return new Words(await answer.json());
}

export class Words {
  constructor(table) {
    this.table = table;
  }

  has(key) {
    return Object.hasOwn(this.table, key);
  }

  // The text with its {names} filled in; the key itself where there is no text, so that nothing is hidden.
  text(key, values = {}) {
    const found = this.has(key) ? this.table[key] : key;
    return found.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
  }

  // The same as nodes: a value may be an element, such as bdi(name).
  nodes(key, values = {}) {
    const found = this.has(key) ? this.table[key] : key;
    return found.split(/(\{\w+\})/).filter(Boolean).map((part) => {
      const name = part.startsWith("{") ? part.slice(1, -1) : "";
      return name in values ? values[name] : part;
    });
  }

  // KEY.one or KEY.other, by the rules of the language
  count(key, n) {
    const kind = new Intl.PluralRules(language).select(n);
    return this.text(this.has(`${key}.${kind}`) ? `${key}.${kind}` : `${key}.other`, { n: number(n) });
  }
}

const formats = new Map();

export function number(value, digits = 0) {
  if (typeof value !== "number" || !Number.isFinite(value)) return "–";
  const key = `${language}${digits}`;
  if (!formats.has(key)) formats.set(key, new Intl.NumberFormat(language, { maximumFractionDigits: digits, minimumFractionDigits: digits }));
  return formats.get(key).format(value);
}

// A measured value with as many digits as help: 4 of them.
export function measured(value) {
  if (typeof value === "boolean") return value ? "1" : "0";
  if (typeof value !== "number") return value === null || value === undefined ? "–" : String(value);
  const size = Math.abs(value);
  return number(value, size >= 1000 || size === 0 || (size >= 100 && Number.isInteger(value)) ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3);
}

export const listed = (texts) => new Intl.ListFormat(language).format(texts);

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

// 150 -> "2 min"; the unit's name is short in each language
export function span(seconds) {
  if (typeof seconds !== "number" || !Number.isFinite(seconds)) return "–";
  const whole = Math.max(0, Math.floor(seconds));
  const [unit, size] = UNITS.find(([, least]) => whole >= least) ?? UNITS[3];
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short" }).format(Math.floor(whole / size));
}

export function bytes(count) {
  if (typeof count !== "number") return "–";
  const units = ["B", "kB", "MB", "GB"];
  let place = 0;
  let left = count;
  while (left >= 1000 && place < 3) {
    left /= 1000;
    place += 1;
  }
  return `${number(left, place && left < 100 ? 1 : 0)} ${units[place]}`;
}
