// Keeps a page current: one event stream; when something the page watches changes, the page is read again and the parts
// marked data-live are swapped. Pages work without it.
const main = document.querySelector("main");
const watched = (main?.dataset.watch ?? "").split(" ").filter(Boolean);
const PAUSE_MS = 1000;
const VOLATILE_MS = 5000;
// Nobody acted when a page reads itself again: the session's idle time runs on.
const headers = { accept: "text/html", "x-quantix-refresh": "1" };
let stream, timer;
let last = 0;
let missed = false, parsing = false;

// A change is of interest when the page watches its kind, or exactly this resource.
function concerns(change) {
  return watched.includes(change.kind) || watched.includes(`${change.kind}:${change.id}`);
}

// Nobody may lose what they type, choose or read: a part in use stays as it is.
function inUse(part) {
  const focus = document.activeElement;
  if (part.contains(focus) && focus.matches("input:not([type=checkbox]), select, textarea")) return true;
  const ticked = [...part.querySelectorAll("input[type=checkbox]")].some((box) => box.checked !== box.defaultChecked);
  return ticked || part.querySelector(":popover-open, details[open] input") !== null;
}

const names = (page) => [...page.querySelectorAll("[data-live]")].map((part) => part.dataset.live).join(" ");

// A list that became empty, or had its first row, has other parts than before: its whole page is swapped.
function rebuild(fresh) {
  if (inUse(main)) {
    missed = true;
    return;
  }
  const toast = main.querySelector(":scope > .toast");
  main.replaceChildren(...fresh.querySelector("main").children);
  if (toast) document.getElementById("notices").after(toast);
}

function swap(fresh) {
  if (names(fresh) !== names(document)) {
    rebuild(fresh);
    return;
  }
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
    if (!next || next.innerHTML === part.innerHTML) continue;
    if (inUse(part)) {
      missed = true;
      continue;
    }
    const open = [...part.querySelectorAll("details[open]")].map((d) => d.closest("[data-network]")?.dataset.network);
    const focus = part.contains(document.activeElement) ? address(document.activeElement) : null;
    part.replaceWith(next);
    for (const id of open) next.querySelector(`[data-network="${id}"] details`)?.setAttribute("open", "");
    if (focus) next.querySelector(focus)?.focus({ preventScroll: true });
  }
}

// Finds the same button or link again after a swap.
function address(element) {
  for (const name of ["id", "href", "value", "data-action"]) {
    const value = element.getAttribute(name);
    if (value) return `${element.localName}[${name}="${CSS.escape(value)}"]`;
  }
  return null;
}

async function refresh() {
  timer = undefined;
  if (document.hidden || parsing) {
    missed = true;
    return;
  }
  parsing = true;
  last = Date.now();
  missed = false;
  try {
    const answer = await fetch(location.href, { headers, credentials: "same-origin" });
    if (answer.redirected && new URL(answer.url).pathname === "/login") location.reload();
    else if (answer.ok) swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
    else if (answer.status === 404) location.reload();
  } catch {
    missed = true; // The host is away; the stream tells when it is back.
  } finally {
    parsing = false;
  }
}

function soon(volatile) {
  const wait = Math.max(last + (volatile ? VOLATILE_MS : PAUSE_MS) - Date.now(), 50);
  timer ??= setTimeout(refresh, wait);
}

function listen() {
  stream = new EventSource("/api/v1/events");
  const heard = (event) => {
    try {
      const change = JSON.parse(event.data);
      if (concerns(change)) soon(change.index === 0);
    } catch {
      soon(false);
    }
  };
  stream.addEventListener("message", heard);
  stream.addEventListener("change", heard);
  stream.addEventListener("resync", () => soon(false));
  stream.addEventListener("error", () => {
    // The browser connects again by itself unless the answer was a refusal.
    missed = true;
    // After one, reading the page again tells whether the session is over.
    if (stream.readyState === EventSource.CLOSED) {
      setTimeout(listen, 5000);
      soon(false);
    }
  });
  // What changed after the page was made and before the stream was open was not told.
  stream.addEventListener("open", () => soon(false));
}

if (watched.length > 0) {
  listen();
  addEventListener("pagehide", () => stream.close());
  addEventListener("pageshow", (event) => event.persisted && (listen(), soon(false)));
  document.addEventListener("visibilitychange", () => !document.hidden && missed && soon(false));
  document.addEventListener("focusout", () => missed && setTimeout(() => soon(false), 300));
  document.addEventListener("change", () => missed && soon(false));
}

// Charts of the last seconds follow them.
setInterval(() => {
  if (!document.hidden && document.querySelector("[data-every-second]")) refresh();
}, 1000);

// A link that is shown as a path becomes one of this host.
for (const field of document.querySelectorAll("[data-here]")) field.value = location.origin + field.value;

// Copies a secret that is shown once.
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const field = document.getElementById(button.dataset.copy);
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Press Ctrl+C";
    }
  });
}
