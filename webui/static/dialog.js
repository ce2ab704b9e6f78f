// A dialog that was refused stands open; where scripts run it is one like the others.
for (const dialog of document.querySelectorAll(".dialog.open")) {
  // The page stays current, and can be opened again, under its own address.
  const page = dialog.querySelector("a.btn[href]")?.href;
  if (page) history.replaceState(null, "", page);
  dialog.popover = "auto";
  dialog.classList.remove("open");
  dialog.showPopover();
  dialog.querySelector(".wrong :is(input, select, textarea)")?.focus();
}
