// What the daemon holds now, as it changes: server-sent events that begin again by themselves.

import { get } from "./api.js";

const SILENT_MS = 12000; // the server says something every 5 s
const AGAIN_MS = [1000, 2000, 4000, 8000, 15000];

// onPart(name, data), onState({state, text, late_s}), onEnded(): the session is over.
// States: those of the daemon (ok, stopped, silent, older, refused, closed, busy), and connecting, lost.
export class Live {
  constructor(parts, onPart, onState, onEnded) {
    Object.assign(this, { parts, onPart, onState, onEnded, source: null, tries: 0, closed: false });
    this.visible = () => (document.visibilityState === "visible" ? this.open() : this.pause());
    document.addEventListener("visibilitychange", this.visible);
    this.open();
  }

  open() {
    if (this.closed || this.source) return;
    const source = new EventSource(`/api/events?parts=${this.parts.join(",")}`);
    this.source = source;
    for (const part of this.parts) {
      source.addEventListener(part, (event) => this.heard(() => this.onPart(part, JSON.parse(event.data))));
    }
    source.addEventListener("daemon", (event) => this.heard(() => this.onState(JSON.parse(event.data))));
    source.addEventListener("ended", () => this.ended());
    source.addEventListener("error", () => this.failed(source));
    this.watch();
  }

  heard(act) {
    this.tries = 0;
    this.watch();
    act();
  }

  watch() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.again(), SILENT_MS);
  }

  failed(source) {
    if (source !== this.source) return;
    this.onState({ state: "lost", text: "" });
    if (source.readyState === EventSource.CLOSED) this.again();
  }

  async again() {
    this.pause();
    this.onState({ state: "lost", text: "" });
    const wait = AGAIN_MS[Math.min(this.tries, AGAIN_MS.length - 1)];
    this.tries += 1;
    try {
      const session = await get("/api/session", 8000);
      if (!session.may_look) return this.ended();
    } catch {
      // the page's server is away: it is tried again
    }
    if (this.closed) return;
    this.timer = setTimeout(() => document.visibilityState === "visible" && this.open(), wait);
  }

  ended() {
    if (this.closed) return;
    this.close();
    this.onEnded();
  }

  pause() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  close() {
    this.closed = true;
    this.pause();
    document.removeEventListener("visibilitychange", this.visible);
  }
}
