// The dock's shortcuts, and its tabs where there is room for one machine only.
const panes = [...document.querySelectorAll("[data-pane]")];
const tabs = [...document.querySelectorAll("[data-tab]")];

function choose(index) {
  if (!panes[index]) return;
  panes.forEach((pane, n) => pane.classList.toggle("chosen", n === index));
  tabs.forEach((tab, n) => tab.setAttribute("aria-pressed", String(n === index)));
}

function enter(index) {
  choose(index);
  panes[index]?.scrollIntoView({ block: "nearest" });
  panes[index]?.querySelector(".screen canvas, .screen")?.focus();
}

tabs.forEach((tab, index) => tab.addEventListener("click", () => choose(index)));
choose(0);
addEventListener("keydown", (event) => {
  if (!event.ctrlKey || !event.shiftKey || event.altKey) return;
  const digit = /^Digit([1-9])$/.exec(event.code);
  const at = panes.findIndex((pane) => pane.contains(document.activeElement));
  if (digit) enter(Number(digit[1]) - 1);
  else if (event.code === "ArrowRight" && panes.length) enter((at + 1) % panes.length);
  else if (event.code === "ArrowLeft" && panes.length) enter((at + panes.length - 1) % panes.length);
  else if (event.code === "KeyF" && at >= 0) panes[at].querySelector("[data-full]")?.click();
  else return;
  event.preventDefault();
  event.stopPropagation();
}, true);
