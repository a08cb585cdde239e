// Elements without any HTML text: whatever a device, a file or a person has named is only text here.

// el("button", {class: "big", type: "button", on: {click: f}}, "text", node, [nodes])
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") {
      for (const [event, handler] of Object.entries(value)) made.addEventListener(event, handler);
    } else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  add(made, children);
  return made;
}

export function add(parent, children) {
  for (const child of [children].flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) parent.append(child);
  }
}

// All that is in `parent` gives way. What is the same is left alone, so that a reader is not told of it again.
export function replace(parent, ...children) {
  const nodes = children.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== false);
  const old = [...parent.childNodes];
  const made = nodes.map((each) => (each instanceof Node ? each : document.createTextNode(each)));
  if (old.length === made.length && old.every((each, number) => each.isEqualNode(made[number]))) return;
  parent.replaceChildren(...made);
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

// A name in any script, which does not turn the order of what stands around it.
export function bdi(text) {
  return el("bdi", {}, String(text ?? ""));
}

// A sentence with `commands` in it, as the gateway writes it
export function prose(text) {
  const parts = String(text ?? "").split("`");
  return el("bdi", {}, parts.map((part, place) => (place % 2 && place < parts.length - 1 ? el("code", {}, part) : part)));
}

// The same of nodes: a command may have names within
export function withCode(nodes) {
  const made = [];
  let code = null;
  for (const node of nodes) {
    for (const [place, part] of (typeof node === "string" ? node.split("`") : [node]).entries()) {
      if (place) {
        code = code ? null : el("code", {});
        if (code) made.push(code);
      }
      if (code) code.append(part);
      else made.push(part);
    }
  }
  return made;
}

// An id of several words, which may be broken behind each
export function breakable(id) {
  return el("bdi", {}, String(id ?? "").split(/(?<=_)/).flatMap((part, place) => (place ? [el("wbr"), part] : [part])));
}

// A list that is shown again and again: an item keeps its element as long as its key is there.
// make(item) gives an element, update(element, item) is called each time.
export class Keyed {
  constructor(parent, key, make, update) {
    Object.assign(this, { parent, key, make, update, elements: new Map() });
  }

  show(items) {
    const seen = new Set();
    let place = this.parent.firstElementChild;
    for (const item of items) {
      const key = this.key(item);
      if (seen.has(key)) continue;
      seen.add(key);
      let element = this.elements.get(key);
      if (!element) {
        element = this.make(item);
        this.elements.set(key, element);
      }
      if (element === place) place = place.nextElementSibling;
      else this.parent.insertBefore(element, place);
      this.update(element, item);
    }
    for (const [key, element] of this.elements) {
      if (!seen.has(key)) {
        element.remove();
        this.elements.delete(key);
      }
    }
  }
}
