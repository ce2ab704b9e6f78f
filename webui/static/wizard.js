// Shows the new-machine form one step at a time. Without scripts it is one long form; nothing here is needed to create a
// machine, and the server alone decides what is wrong.
const form = document.getElementById("vm-form");
const links = [...document.querySelectorAll(".wizard-steps a")];
const steps = links.map((link) => document.getElementById(`step-${link.dataset.step}`));
const [all, back, next, create] = ["wizard-all", "wizard-back", "wizard-next", "wizard-create"].map((id) => document.getElementById(id));
const review = document.getElementById("review");
const MODE = "quantix-wizard-mode";
const STEP = "quantix-wizard-step";
let at = 0;
let long = localStorage.getItem(MODE) === "long";

// What a person sees of a field's value: the chosen option's text, not its value.
function said(field) {
  // Of a list to pick from only what is picked, with where it is.
  const place = field.type === "checkbox" ? field.closest(".pick label")?.querySelector(".sub") : null;
  if (place) return field.checked ? place.textContent.trim() : null;
  if (field.type === "checkbox") return field.checked ? "Yes" : "No";
  if (field.type === "radio") return field.checked ? field.closest("label").querySelector("b, span").textContent.trim() : null;
  if (field.type === "password") return field.value ? "Set" : "";
  if (field.tagName === "SELECT") return field.selectedOptions[0]?.textContent.trim() ?? "";
  return field.value.trim();
}

function label(field) {
  const box = field.closest(".field, [role=radiogroup]");
  const tick = field.type === "checkbox" ? field.closest("label") : null;
  const own = (tick?.querySelector("b") ?? tick)?.textContent;
  const text = own ?? field.labels?.[0]?.closest(".choice")?.parentElement.getAttribute("aria-label") ?? box?.querySelector("label:not(.choice), .legend")?.textContent ?? field.getAttribute("aria-label");
  const group = field.closest(".subform")?.getAttribute("aria-label");
  return [group, (text ?? field.name).trim()].filter(Boolean).join(": ");
}

// Parts that only one choice beside them gives a meaning; the others are not displayed.
const PARTS = ".for-blank, .for-image, .for-volume, .for-linux, .for-windows, .for-setup";
function meaningless(field) {
  for (let part = field.closest(PARTS); part; part = part.parentElement.closest(PARTS)) {
    if (getComputedStyle(part).display === "none") return true;
  }
  return false;
}

function fillReview() {
  const rows = new Map();
  for (const field of form.elements) {
    if (!field.name || field.type === "hidden" || field.type === "submit" || field.tagName === "FIELDSET") continue;
    // A field that the choice beside it makes meaningless is not sent as far as a person is concerned.
    if (meaningless(field)) continue;
    const value = said(field);
    if (value === null || value === "") continue;
    // What is folded away and was left as it is needs no review.
    if (field.closest("details.more") && (field.tagName === "SELECT" ? field.selectedIndex === 0 : value === "0")) continue;
    const name = label(field);
    rows.set(name, rows.has(name) ? `${rows.get(name)} ${value}` : value);
  }
  const parts = [];
  for (const [name, value] of rows) {
    const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
    dt.textContent = name;
    dd.textContent = value;
    parts.push(dt, dd);
  }
  review.replaceChildren(...parts);
}

function show() {
  const last = at === steps.length - 1;
  if (last && !long) fillReview();
  steps.forEach((step, index) => (step.hidden = long ? index === steps.length - 1 : index !== at));
  links.forEach((link, index) => {
    if (!long && index === at) link.setAttribute("aria-current", "step");
    else link.removeAttribute("aria-current");
    link.classList.toggle("bad", steps[index].querySelector(".wrong, .error") !== null);
    link.parentElement.hidden = long && index === steps.length - 1;
  });
  [back.hidden, next.hidden, create.hidden] = [long || at === 0, long || last, !long && !last];
  all.textContent = long ? "One step at a time" : "All on one page";
}

function go(index) {
  at = Math.max(0, Math.min(index, steps.length - 1));
  show();
  window.scrollTo({ top: 0 });
  steps[at].querySelector("input:not([type=hidden]), select, textarea")?.focus({ preventScroll: true });
}

// The fields of this step are looked at before the next one is shown; the browser says what is missing.
function passes() {
  const wrong = [...steps[at].querySelectorAll("input, select, textarea")].find((field) => !field.checkValidity());
  wrong?.reportValidity();
  return !wrong;
}

links.forEach((link, index) =>
  link.addEventListener("click", (event) => {
    if (long) return;
    event.preventDefault();
    if (index < at || passes()) go(index);
  }),
);
back.addEventListener("click", () => go(at - 1));
next.addEventListener("click", () => passes() && go(at + 1));
all.addEventListener("click", () => {
  long = !long;
  localStorage.setItem(MODE, long ? "long" : "steps");
  show();
});
// Enter means "on" until the last step; a button that adds a row comes back to this step.
form.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || long || at === steps.length - 1 || !event.target.matches("input")) return;
  event.preventDefault();
  if (passes()) go(at + 1);
});
form.addEventListener("submit", (event) => {
  if (event.submitter?.name === "rows") sessionStorage.setItem(STEP, String(at));
});
// A field in a hidden step can't show what is wrong with it: its step is shown first.
form.addEventListener("invalid", (event) => {
  const index = steps.findIndex((step) => step.contains(event.target));
  if (!long && index >= 0 && index !== at) go(index);
}, true);

all.hidden = false;
const kept = Number(sessionStorage.getItem(STEP) ?? 0);
sessionStorage.removeItem(STEP);
const wrong = steps.findIndex((step) => step.querySelector(".wrong, .error"));
at = wrong >= 0 ? wrong : kept;
show();
