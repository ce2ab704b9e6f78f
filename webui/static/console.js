// The consoles: noVNC draws the screen, xterm.js the serial port. Each opens its WebSocket with a one-time ticket.
import RFB from "./novnc/core/rfb.js";
import { Terminal } from "./xterm/xterm.mjs";
import { FitAddon } from "./xterm/addon-fit/addon-fit.mjs";

const LOG_MAX = 64 * 1024;
const RETRY_MS = 3000;

// A fresh ticket and the address it opens; throws the host's own words.
async function address(section) {
  const answer = await fetch(`/api/v1/vms/${section.dataset.vmId}/console`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-csrf-token": document.querySelector("meta[name=csrf]").content,
    },
    body: JSON.stringify({ console: section.dataset.console }),
  });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail ?? `The host answered ${answer.status}.`);
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  return `${scheme}://${location.host}/api/v1/console?ticket=${encodeURIComponent(body.ticket)}`;
}

// What both consoles share: the state in words, connecting again, and leaving with the keyboard.
class Console {
  constructor(kind, id) {
    this.section = document.querySelector(`[data-console="${kind}"]`);
    this.target = document.getElementById(id);
    this.link = this.section.querySelector("[data-link]");
    this.section.querySelector("[data-again]").addEventListener("click", () => this.connect());
    this.target.addEventListener("keydown", (event) => {
      if (event.ctrlKey && event.shiftKey && event.key === "Escape") {
        event.preventDefault();
        event.stopPropagation();
        this.section.querySelector("header button").focus();
      }
    }, true);
  }
  say(tone, words) {
    this.link.className = `badge ${tone}`;
    this.link.textContent = words;
    this.target.dataset.connected = String(tone === "good");
  }
  // The page's own badge, which live.js keeps current.
  get machineRuns() {
    const state = document.querySelector("#head [data-vm-state]")?.dataset.vmState;
    return ["running", "paused", "stopping", "starting"].includes(state);
  }
  async connect() {
    clearTimeout(this.timer);
    this.round = (this.round ?? 0) + 1;
    const round = this.round;
    this.close();
    if (!this.machineRuns) {
      this.say("idle", "The machine is off");
      this.retry(round);
      return;
    }
    this.say("busy", "Connecting");
    try {
      const url = await address(this.section);
      if (round === this.round) this.open(url, round);
    } catch (problem) {
      if (round !== this.round) return;
      this.say("bad", problem.message);
      this.retry(round);
    }
  }
  lost(round, reason) {
    if (round !== this.round) return;
    this.say("idle", reason || (this.machineRuns ? "Connection lost" : "The machine is off"));
    this.retry(round);
  }
  retry(round) {
    this.timer = setTimeout(() => round === this.round && this.connect(), RETRY_MS);
  }
}

class Screen extends Console {
  constructor() {
    super("vnc", "screen");
    const button = (name, act) => this.section.querySelector(`[data-${name}]`).addEventListener("click", act);
    button("key", () => this.rfb?.sendCtrlAltDel());
    button("full", () => (document.fullscreenElement ? document.exitFullscreen() : this.section.requestFullscreen()));
    button("scale", (event) => {
      const fit = event.currentTarget.getAttribute("aria-pressed") !== "true";
      event.currentTarget.setAttribute("aria-pressed", String(fit));
      if (this.rfb) this.rfb.scaleViewport = fit;
    });
  }
  close() {
    this.rfb?.disconnect();
    this.rfb = null;
  }
  open(url, round) {
    this.target.replaceChildren();
    const rfb = new RFB(this.target, url, { shared: true });
    this.rfb = rfb;
    rfb.scaleViewport = this.section.querySelector("[data-scale]").getAttribute("aria-pressed") === "true";
    rfb.background = "#0a0b0d";
    rfb.addEventListener("connect", () => round === this.round && this.say("good", "Connected"));
    rfb.addEventListener("disconnect", () => this.lost(round));
  }
}

class Serial extends Console {
  constructor() {
    super("serial", "serial");
    this.log = document.getElementById("serial-log");
    this.terminal = new Terminal({
      fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--mono"),
      fontSize: 13,
      cursorBlink: false,
      scrollback: 5000,
      convertEol: false,
      theme: { background: "#0a0b0d", foreground: "#dfe3ea" },
    });
    this.fit = new FitAddon();
    this.terminal.loadAddon(this.fit);
    this.terminal.open(this.target);
    this.fit.fit();
    new ResizeObserver(() => this.fit.fit()).observe(this.target);
    const encoder = new TextEncoder();
    this.terminal.onData((text) => this.send(encoder.encode(text)));
    this.terminal.onBinary((text) => this.send(Uint8Array.from(text, (c) => c.charCodeAt(0))));
    this.section.querySelector("[data-clear]").addEventListener("click", () => this.clear());
  }
  send(bytes) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(bytes);
  }
  clear() {
    this.terminal.reset();
    this.log.textContent = "";
  }
  close() {
    this.socket?.close();
    this.socket = null;
  }
  open(url, round) {
    const socket = new WebSocket(url);
    const decoder = new TextDecoder();
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => {
      if (round !== this.round) return;
      this.clear(); // The host sends the recent output again.
      this.say("good", "Connected");
    });
    socket.addEventListener("message", (event) => {
      const bytes = new Uint8Array(event.data);
      this.terminal.write(bytes);
      this.log.textContent = (this.log.textContent + decoder.decode(bytes, { stream: true })).slice(-LOG_MAX);
    });
    socket.addEventListener("close", (event) => this.lost(round, event.reason));
  }
}

const consoles = [new Screen(), new Serial()];
for (const one of consoles) one.connect();
addEventListener("pagehide", () => consoles.forEach((one) => one.close()));
