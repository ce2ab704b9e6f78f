// Small pictures of screens: fetched when they come into sight, and again while they stay there and somebody looks.
const AGAIN_MS = 10000;
const visible = new Map();
// The last picture of each machine: a part that live.js swaps shows it at once.
const last = new Map();

async function fetch_one(frame) {
  try {
    const answer = await fetch(`/api/v1/vms/${frame.dataset.thumb}/thumbnail`, {
      headers: { "x-quantix-refresh": "1" },
      credentials: "same-origin",
    });
    if (!answer.ok) throw new Error((await answer.json()).detail);
    const reader = new FileReader();
    reader.readAsDataURL(await answer.blob());
    await new Promise((done) => { reader.onload = done; });
    last.set(frame.dataset.thumb, { at: Date.now(), src: reader.result, why: "" });
  } catch (problem) {
    last.set(frame.dataset.thumb, { at: Date.now(), src: null, why: problem.message ?? "" });
  }
  draw(frame);
}

function draw(frame) {
  const known = last.get(frame.dataset.thumb);
  if (!known) return;
  frame.title = known.why;
  if (!known.src) {
    frame.textContent = "No picture";
    return;
  }
  const picture = frame.querySelector("img") ?? document.createElement("img");
  picture.alt = "";
  picture.src = known.src;
  if (!picture.isConnected) frame.replaceChildren(picture);
}

async function follow(frame) {
  while (visible.get(frame) && frame.isConnected) {
    const age = Date.now() - (last.get(frame.dataset.thumb)?.at ?? 0);
    if (!document.hidden && age >= AGAIN_MS) await fetch_one(frame);
    await new Promise((done) => setTimeout(done, age >= AGAIN_MS ? AGAIN_MS : AGAIN_MS - age));
  }
  visible.delete(frame);
}

const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const known = visible.has(target);
    visible.set(target, isIntersecting);
    if (isIntersecting && !known) follow(target);
  }
});

const known = new WeakSet();
function look() {
  for (const frame of document.querySelectorAll("[data-thumb]")) {
    if (known.has(frame)) continue;
    known.add(frame);
    draw(frame);
    seen.observe(frame);
  }
}
look();
// live.js swaps parts of the page.
new MutationObserver(look).observe(document.querySelector("main"), { childList: true, subtree: true });
