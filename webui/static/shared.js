// A link to a console: its secret stands behind the # and is sent to nobody until the button is pressed. That uses it up;
// from then on a cookie of this browser opens the consoles, so that the page may be loaded again.
import { start } from "./console.js";

const box = document.querySelector("[data-redeem]");
const consoles = document.querySelector("[data-consoles]");
const said = document.querySelector("[data-said]");
const button = box.querySelector("button");
const secret = location.hash.slice(1);
const OPENED = "quantix.link";

async function ask(path, body) {
  const answer = await fetch(path, {
    method: body ? "POST" : "GET",
    headers: body ? { "content-type": "application/json" } : {},
    body: body && JSON.stringify(body),
    credentials: "same-origin",
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.detail ?? `The host answered ${answer.status}.`);
  return told;
}

function show(link) {
  document.querySelector("h1").textContent = link.name;
  document.title = `${link.name} · Console`;
  const until = new Date(link.expires_at).toLocaleString();
  document.querySelector("[data-until]").textContent =
    `${link.control ? "You may look and type." : "You may look."} This link ends ${until}.`;
  for (const section of consoles.querySelectorAll("[data-console]")) section.dataset.shared = link.link;
  box.hidden = true;
  consoles.hidden = false;
  start(consoles);
}

// A link opens once, but its reader may click it again. What this browser opened last is remembered as a hash.
async function hashed(text) {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function open() {
  const mark = await hashed(secret);
  if (localStorage.getItem(OPENED) === mark) return ask("/api/v1/shared");
  const link = await ask("/api/v1/shared/redeem", { secret });
  localStorage.setItem(OPENED, mark);
  return link;
}

button.addEventListener("click", async () => {
  button.disabled = true;
  try {
    const link = await open();
    history.replaceState(null, "", location.pathname);
    show(link);
  } catch (problem) {
    said.textContent = problem.message;
    said.hidden = false;
    button.disabled = false;
  }
});

if (secret) {
  button.hidden = false;
} else {
  try {
    show(await ask("/api/v1/shared"));
  } catch (problem) {
    said.textContent = problem.message;
    said.hidden = false;
  }
}
