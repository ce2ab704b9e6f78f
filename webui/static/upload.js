// Sends the upload form with a progress bar; without scripts the browser sends it by itself.
const form = document.getElementById("upload-form");
const file = form.querySelector("input[type=file]");
const name = form.querySelector("input[name=name]");
const bar = document.getElementById("upload-progress");
const text = document.getElementById("upload-text");
const box = bar.parentElement;
const error = document.getElementById("upload-error");
const button = form.querySelector("button:not([type=button])");
let running = null;

function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let step = 0;
  for (; bytes >= 1024 && step < units.length - 1; step++) bytes /= 1024;
  return `${bytes.toFixed(step > 0 && bytes < 100 ? 1 : 0)} ${units[step]}`;
}

function show(sending) {
  box.hidden = !sending;
  button.disabled = sending;
}

function fail(message) {
  running = null;
  show(false);
  error.textContent = message;
  error.hidden = false;
  // Sent again, it is another request.
  form.querySelector("input[name=request]").value = crypto.randomUUID();
}

file.addEventListener("change", () => {
  const chosen = file.files[0];
  if (chosen && !name.value) {
    name.value = chosen.name.replace(/[^A-Za-z0-9._-]/g, "-").replace(/^[._-]+/, "").slice(0, 63);
  }
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (running || !file.files[0]) return;
  const total = file.files[0].size;
  form.querySelector("input[name=size]").value = total;
  error.hidden = true;
  bar.value = 0;
  text.textContent = "Connecting";
  show(true);

  const begun = performance.now();
  const request = new XMLHttpRequest();
  running = request;
  request.open("POST", form.getAttribute("action"));
  request.setRequestHeader("Accept", "application/json");
  request.setRequestHeader("X-CSRF-Token", form.querySelector("input[name=csrf]").value);
  request.responseType = "json";
  request.upload.addEventListener("progress", (step) => {
    const done = Math.min(step.loaded, total);
    bar.value = total > 0 ? (done / total) * 100 : 100;
    const seconds = (performance.now() - begun) / 1000;
    const rate = seconds > 1 ? `, ${size(done / seconds)}/s` : "";
    text.textContent = done < total ? `${size(done)} of ${size(total)}${rate}` : "Checking the file";
  });
  request.addEventListener("load", () => {
    if (request.status === 200 && request.response?.location) {
      running = null;
      location.assign(request.response.location);
      return;
    }
    const problem = request.response;
    fail(problem?.errors?.[0]?.detail ?? problem?.detail ?? `The host answered ${request.status}.`);
  });
  request.addEventListener("error", () => fail("The connection broke. Nothing of the file was kept; send it again."));
  request.addEventListener("abort", () => fail("Cancelled. Nothing of the file was kept."));
  request.send(new FormData(form));
});

document.getElementById("upload-cancel").addEventListener("click", () => running?.abort());
addEventListener("beforeunload", (event) => running && event.preventDefault());
