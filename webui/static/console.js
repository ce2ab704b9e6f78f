// The consoles: noVNC draws the screen, xterm.js the serial port. Each opens its WebSocket with a one-time ticket, or with
// the cookie of a link; text frames beside the bytes tell who is there and who controls.
import RFB from "./novnc/core/rfb.js";
import { Terminal } from "./xterm/xterm.mjs";
import { FitAddon } from "./xterm/addon-fit/addon-fit.mjs";
import { press, type } from "./keys.js";

const LOG_MAX = 64 * 1024;
const RETRY_MS = 3000;
const PROTOCOL = "quantix.console";
const DARK = "#0a0b0d";

// What the host said, when it refused.
async function answered(answer) {
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail ?? `The host answered ${answer.status}.`);
  return body;
}

// The address of a console. With a login, a fresh ticket opens it.
async function address(section, mode) {
  const base = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1`;
  const kind = section.dataset.console;
  if (section.dataset.shared !== undefined) {
    const link = await answered(await fetch("/api/v1/shared", { credentials: "same-origin" }));
    // One browser holds one link at a time, the one opened last.
    if (link.link !== section.dataset.shared) throw new Error("Another link was opened in this browser since.");
    if (!["running", "paused", "stopping"].includes(link.state)) throw new Error(`${link.name} is ${link.state}.`);
    return `${base}/shared/console?console=${kind}&mode=${mode}&link=${link.link}`;
  }
  const { ticket } = await answered(await fetch(`/api/v1/vms/${section.dataset.vmId}/console`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-csrf-token": document.querySelector("meta[name=csrf]").content,
    },
    body: JSON.stringify({ console: kind, mode }),
  }));
  return `${base}/console?ticket=${encodeURIComponent(ticket)}`;
}

// A WebSocket whose text frames are ours; everything else is noVNC's or the terminal's.
class Channel {
  onopen = null;
  onmessage = null;
  onclose = null;
  onerror = null;
  constructor(url, told) {
    this.socket = new WebSocket(url, [PROTOCOL]);
    this.socket.binaryType = "arraybuffer";
    this.socket.addEventListener("open", (event) => this.onopen?.(event));
    this.socket.addEventListener("close", (event) => this.onclose?.(event));
    this.socket.addEventListener("error", (event) => this.onerror?.(event));
    this.socket.addEventListener("message", (event) => {
      if (typeof event.data === "string") told(JSON.parse(event.data));
      else this.onmessage?.(event);
    });
  }
  get readyState() { return this.socket.readyState; }
  get protocol() { return this.socket.protocol; }
  get binaryType() { return this.socket.binaryType; }
  set binaryType(kind) { this.socket.binaryType = kind; }
  send(bytes) { if (this.readyState === WebSocket.OPEN) this.socket.send(bytes); }
  close() { this.socket.close(); }
}

// What both consoles share: the state in words, who is there, connecting again, and leaving with the keyboard.
class Console {
  constructor(section, target) {
    this.section = section;
    this.target = section.querySelector(target);
    this.link = this.part("link");
    this.mode = "control";
    this.on("again", () => this.connect());
    this.on("take", () => this.wish("take"));
    this.on("watch", (event) => {
      const watch = event.currentTarget.getAttribute("aria-pressed") !== "true";
      event.currentTarget.setAttribute("aria-pressed", String(watch));
      this.wish(watch ? "watch" : "control");
    });
    this.on("full", () => (document.fullscreenElement ? document.exitFullscreen() : this.section.requestFullscreen()));
    this.target.addEventListener("keydown", (event) => {
      if (event.ctrlKey && event.shiftKey && event.key === "Escape") {
        event.preventDefault();
        event.stopPropagation();
        this.section.querySelector("header button").focus();
      }
    }, true);
  }
  part(name) { return this.section.querySelector(`[data-${name}]`); }
  on(name, act) { this.part(name)?.addEventListener("click", act); }
  say(tone, words, why = "") {
    this.link.className = `badge ${tone}`;
    this.link.textContent = words;
    this.target.dataset.connected = String(tone === "good");
    const line = this.part("why");
    line.textContent = why;
    line.hidden = !why;
    if (tone !== "good") this.present([]);
  }
  // The page's own badge, which live.js keeps current; a link's page has none.
  get machineRuns() {
    const place = this.section.closest("[data-pane]") ?? document.querySelector("#head");
    const state = place?.querySelector("[data-vm-state]")?.dataset.vmState;
    return state === undefined || ["running", "paused", "stopping", "starting"].includes(state);
  }
  async connect() {
    clearTimeout(this.timer);
    this.round = (this.round ?? 0) + 1;
    const round = this.round;
    this.problem = null;
    this.close();
    if (!this.machineRuns) {
      this.say("idle", "The machine is off");
      this.retry(round);
      return;
    }
    this.say("busy", "Connecting");
    try {
      const url = await address(this.section, this.mode);
      if (round !== this.round) return;
      this.channel = new Channel(url, (told) => round === this.round && this.told(told));
      this.open(this.channel, round);
    } catch (problem) {
      if (round !== this.round) return;
      this.say("bad", "Can't connect", problem.message);
      this.retry(round);
    }
  }
  told({ viewers, problem }) {
    if (problem) this.problem = problem;
    if (viewers) this.present(viewers.all, viewers.you);
  }
  // Who is here, in words; the buttons that fit.
  present(all, id) {
    const you = all.find((viewer) => viewer.id === id);
    const others = all.filter((viewer) => viewer.id !== id);
    const first = others.find((viewer) => viewer.controls);
    const names = [...new Set(others.map((viewer) => viewer.who))].join(", ");
    let words = "";
    if (you && others.length > 0) {
      const who = you.controls ? "You control it." : first ? `${first.who} controls it.` : "Nobody controls it.";
      words = `${who} Also here: ${names}`;
    } else if (you && !you.controls) {
      words = you.may_control ? "You only look." : "This link allows looking only.";
    }
    this.part("viewers").textContent = words;
    this.part("take").hidden = !you || you.controls || !you.may_control;
    if (this.part("watch")) this.part("watch").disabled = !you?.may_control;
    this.controls(you?.controls ?? false);
  }
  controls() {}
  wish(mode) {
    this.mode = mode === "watch" ? "watch" : "control";
    this.part("watch")?.setAttribute("aria-pressed", String(mode === "watch"));
    this.channel?.send(JSON.stringify({ mode }));
  }
  lost(round, reason) {
    if (round !== this.round) return;
    const why = this.problem?.detail ?? reason ?? "";
    if (!this.machineRuns) this.say("idle", "The machine is off");
    else if (this.problem) this.say("bad", "Can't connect", why);
    else this.say("idle", why === "the machine stopped" ? "The machine stopped" : "Connection lost", why);
    this.retry(round);
  }
  retry(round) {
    this.timer = setTimeout(() => round === this.round && this.connect(), RETRY_MS);
  }
}

class Screen extends Console {
  constructor(section) {
    super(section, ".screen");
    for (const button of section.querySelectorAll("[data-keys]")) {
      button.addEventListener("click", () => {
        if (this.rfb) press(this.rfb, button.dataset.keys);
        button.closest("[popover]")?.hidePopover();
        this.rfb?.focus();
      });
    }
    this.on("type", async () => {
      const [field, said] = [this.part("text"), this.part("typed")];
      if (!this.rfb || !field.value) return;
      const left = await type(this.rfb, field.value);
      said.textContent = left ? `${left} characters have no key on a US keyboard and were left out.` : "Typed.";
    });
    this.on("scale", (event) => {
      const fit = event.currentTarget.getAttribute("aria-pressed") !== "true";
      event.currentTarget.setAttribute("aria-pressed", String(fit));
      if (this.rfb) this.rfb.scaleViewport = fit;
    });
  }
  controls(may) {
    if (this.rfb) this.rfb.viewOnly = !may;
  }
  close() {
    this.rfb?.disconnect();
    this.rfb = null;
  }
  open(channel, round) {
    this.target.replaceChildren();
    const rfb = new RFB(this.target, channel, { shared: true });
    this.rfb = rfb;
    rfb.scaleViewport = this.part("scale").getAttribute("aria-pressed") === "true";
    rfb.background = DARK;
    rfb.viewOnly = true; // until the host says who controls
    let reason = "";
    channel.socket.addEventListener("close", (event) => { reason = event.reason; });
    rfb.addEventListener("connect", () => round === this.round && this.say("good", "Connected"));
    rfb.addEventListener("disconnect", () => this.lost(round, reason));
    rfb.addEventListener("clipboard", (event) => {
      const field = this.part("text");
      if (field) field.value = event.detail.text;
    });
  }
}

class Serial extends Console {
  constructor(section) {
    super(section, ".serial");
    this.log = section.querySelector("pre");
    this.terminal = new Terminal({
      fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--mono"),
      fontSize: 13,
      cursorBlink: false,
      scrollback: 5000,
      convertEol: false,
      theme: { background: DARK, foreground: "#dfe3ea" },
    });
    this.fit = new FitAddon();
    this.terminal.loadAddon(this.fit);
    this.terminal.open(this.target);
    this.fit.fit();
    new ResizeObserver(() => this.fit.fit()).observe(this.target);
    const encoder = new TextEncoder();
    this.terminal.onData((text) => this.channel?.send(encoder.encode(text)));
    this.terminal.onBinary((text) => this.channel?.send(Uint8Array.from(text, (c) => c.charCodeAt(0))));
    this.on("clear", () => this.clear());
  }
  clear() {
    this.terminal.reset();
    this.log.textContent = "";
  }
  close() {
    this.channel?.close();
    this.channel = null;
  }
  open(channel, round) {
    const decoder = new TextDecoder();
    channel.onopen = () => {
      if (round !== this.round) return;
      this.clear(); // The host sends the recent output again.
      this.say("good", "Connected");
    };
    channel.onmessage = (event) => {
      const bytes = new Uint8Array(event.data);
      this.terminal.write(bytes);
      this.log.textContent = (this.log.textContent + decoder.decode(bytes, { stream: true })).slice(-LOG_MAX);
    };
    channel.onclose = (event) => this.lost(round, event.reason);
  }
}

const open = [];
// A console that is out of sight costs nothing until it is looked at.
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries.filter((entry) => entry.isIntersecting)) {
    seen.unobserve(entry.target);
    begin(entry.target);
  }
});

function begin(section) {
  const one = section.dataset.console === "vnc" ? new Screen(section) : new Serial(section);
  open.push(one);
  one.connect();
}

export function start(place = document) {
  for (const section of place.querySelectorAll("[data-console]")) {
    if (section.dataset.lazy === undefined) begin(section);
    else seen.observe(section);
  }
}

if (!document.querySelector("[data-redeem]")) start();
addEventListener("pagehide", () => open.forEach((one) => one.close()));
