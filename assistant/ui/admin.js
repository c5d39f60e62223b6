// The admin page's own script: double clicks, and the review queue by keyboard.
"use strict";

// The second half of a double click does nothing: by then "Approve" may mean the next row.
document.addEventListener(
  "click",
  (event) => {
    if (event.detail < 2 || !event.target.closest("button:not([role=tab])")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  },
  true,
);

const BUTTONS = { a: "#queue-approve", e: "#queue-edit", r: "#queue-reject" };

// j and k go to the next and the former row, as the arrow keys do in the list itself.
function move(step) {
  const rows = [...document.querySelectorAll("#rows input")];
  const next = rows[rows.findIndex((row) => row.checked) + step];
  next?.click();
  next?.closest("label").scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("textarea, select, [contenteditable], input:not([type=radio])")) return;
  // nothing of a tab that is not shown has a place on the page
  if (!document.querySelector("#queue")?.offsetParent) return;
  const step = { j: 1, k: -1 }[event.key];
  const button = document.querySelector(BUTTONS[event.key] ?? "none");
  if (step) move(step);
  else if (event.key === "/") document.querySelector("#queue-words :is(input, textarea)")?.focus();
  else if (button?.offsetParent && !event.repeat) button.click();
  else return;
  event.preventDefault();
});

// What was typed into a form for something new is there again after a reload or a lost connection.
// Kept for this tab alone: the next person at this browser must not read it. No passwords.
const draftOf = (box) => `apprentice-admin-${box.id}`;
const fieldOf = (box) => box.querySelector("textarea, input");
function keepDraft(box) {
  try { sessionStorage.setItem(draftOf(box), fieldOf(box)?.value ?? ""); } catch { /* not kept */ }
}
function restoreDrafts() {
  for (const box of document.querySelectorAll(".kept:not([data-restored])")) {
    const field = fieldOf(box);
    if (!field) continue;
    box.dataset.restored = "yes";
    let text = "";
    try { text = sessionStorage.getItem(draftOf(box)); } catch { /* not kept */ }
    if (!text || field.value) continue;
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
document.addEventListener("input", (event) => {
  const box = event.target.closest?.(".kept");
  if (box) keepDraft(box);
});
// a form that was sent is empty again without a key pressed
window.addEventListener("pagehide", () => document.querySelectorAll(".kept").forEach(keepDraft));
// Gradio names its box that ticks all by a title alone, which a screen reader may leave out.
function nameBoxes() {
  for (const box of document.querySelectorAll(".select-all-checkbox:not([aria-label])")) {
    box.setAttribute("aria-label", box.title);
  }
}
new MutationObserver(() => { restoreDrafts(); nameBoxes(); }).observe(document, { childList: true, subtree: true });

// A text that is being edited for approval belongs to one row: leaving it is asked about.
let edited = false;
document.addEventListener("input", (event) => {
  edited ||= Boolean(event.target.closest?.("#approved-text, #approved-question"));
});
window.addEventListener("beforeunload", (event) => {
  if (edited && document.querySelector("#approved-text")?.offsetParent) event.preventDefault();
});
