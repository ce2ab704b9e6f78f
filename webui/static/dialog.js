// A dialog that was refused stands open; where scripts run it is one like the others.
for (const dialog of document.querySelectorAll(".dialog.open")) {
  dialog.popover = "auto";
  dialog.classList.remove("open");
  dialog.showPopover();
  dialog.querySelector(".wrong :is(input, select, textarea)")?.focus();
}
