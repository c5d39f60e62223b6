"use strict";

// While the server cannot be reached the page says so and sends nothing, so that nothing typed is
// lost. When it is back the page is drawn anew from storage, with what was typed (`chat.js`).
let away = false;
const LOOK_MS = 2000;
async function reachable() {
  try {
    const signal = AbortSignal.timeout(10 * LOOK_MS);
    return (await asked("/healthz", { cache: "no-store", signal })).ok;
  } catch {
    return false;
  }
}
async function lost() {
  if (away) return;
  away = true;
  document.body.classList.add("away");
  status.textContent = find("#away")?.textContent ?? "";
  while (!(await reachable())) await new Promise((done) => setTimeout(done, LOOK_MS));
  if (!unsaved) {
    location.reload(); // until then nothing is sent from here
    return;
  }
  away = false;
  document.body.classList.remove("away");
}
const asked = window.fetch.bind(window);
window.fetch = async (...request) => {
  try {
    const answer = await asked(...request);
    const before = answer.headers.get("X-Apprentice-Before");
    if (before) joinLine(before);
    return answer;
  } catch (error) {
    // a server that refuses has answered; this one did not
    if (error instanceof TypeError && !(await reachable())) lost();
    throw error;
  }
};
// How many questions are before this one: told with the first word of the server's, when hundreds ask
// long before the turn has come. What is typed until then stays when the server empties the box.
let meanwhile = "";
let askedBefore = 0;
const questions = () => document.querySelectorAll("#chat .user-row").length;
const inLine = () => document.body.classList.contains("in-line");
function joinLine(before) {
  meanwhile = "";
  askedBefore = questions();
  document.body.classList.add("in-line");
  const line = find("#in-line p");
  line.dataset.before = before;
  status.textContent = `${line.textContent} ${before}`;
}
function leaveLine() {
  if (!inLine() || (!find("#question .stop-button") && questions() === askedBefore)) return;
  document.body.classList.remove("in-line");
  const box = find("#question textarea");
  if (!meanwhile || box.value) return;
  box.value = meanwhile;
  box.dispatchEvent(new Event("input", { bubbles: true }));
}
document.addEventListener("input", (event) => {
  if (inLine() && event.target.closest?.("#question")) meanwhile = event.target.value;
});
window.addEventListener("offline", lost);
// an answer whose stream broke off says nothing, so the server is asked while one is made
setInterval(async () => {
  const waits = inLine() ? Math.random() < 0.2 : find("#question .stop-button");
  if (!away && waits && !(await reachable())) lost();
}, 2 * LOOK_MS);
for (const [name, place] of [["keydown", "#question textarea"], ["click", "#question button, #chat .example, #chat .option"]]) {
  document.addEventListener(
    name,
    (event) => {
      const sends = name === "click" || (event.key === "Enter" && !event.shiftKey);
      if (!away || !sends || !event.target.closest?.(place)) return;
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    true,
  );
}
