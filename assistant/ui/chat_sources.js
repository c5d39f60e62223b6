"use strict";

// A source opens beside the answer, on a narrow page over it: pressed below the reply or by its number.
const narrow = window.matchMedia("(max-width: 1000px)");
const tended = new WeakMap();
let pressed = null;
function tendSources() {
  for (const row of document.querySelectorAll("#chat .bot-row:has(.source)")) {
    if (tended.get(row) === row.textContent) continue;
    tended.set(row, row.textContent);
    const heads = [...row.querySelectorAll(".source > summary")];
    for (const head of heads) head.setAttribute("role", "button");
    const names = heads.map((one) => one.textContent);
    const texts = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
    const found = [];
    while (texts.nextNode()) {
      const inside = texts.currentNode.parentElement;
      if (inside.closest(".prose") && !inside.closest(".under, .katex, code, pre, button, a")) {
        found.push(texts.currentNode);
      }
    }
    for (const text of found) linkNumbers(text, names);
  }
}
function linkNumbers(text, names) {
  for (const match of [...text.data.matchAll(/\[\d{1,2}\]/g)].reverse()) {
    const name = names.find((one) => one.startsWith(match[0]));
    if (!name) continue;
    const number = text.splitText(match.index);
    number.splitText(match[0].length);
    const button = document.createElement("button");
    button.className = "cited";
    button.textContent = match[0];
    button.setAttribute("aria-label", name);
    number.replaceWith(button);
  }
}
function openSource(by) {
  const name = by.getAttribute("aria-label") ?? by.textContent;
  const source = [...by.closest(".bot-row").querySelectorAll(".source")].find(
    (one) => one.firstElementChild.textContent === name,
  );
  const panel = find("#source-panel");
  panel.querySelector(".shown")?.remove();
  const shown = document.createElement("div");
  shown.className = "shown prose";
  const head = document.createElement("h3");
  head.textContent = name;
  shown.append(head, ...[...source.children].slice(1).map((part) => part.cloneNode(true)));
  panel.append(shown);
  panel.setAttribute("role", "complementary");
  panel.removeAttribute("aria-modal");
  panel.setAttribute("aria-labelledby", "source-panel-title");
  panel.classList.toggle("dialog", narrow.matches);
  panel.classList.add("open");
  document.body.classList.add("beside");
  pressed = by;
  by.focus(); // where focus comes back to; a dialog takes it by itself
  if (!narrow.matches) panel.querySelector(".dialog-close").focus();
}
function closeSource() {
  if (!pressed) return;
  find("#source-panel").classList.remove("open", "dialog");
  document.body.classList.remove("beside");
  (pressed.isConnected ? pressed : find("#question textarea")).focus();
  pressed = null;
}
document.addEventListener("click", (event) => {
  const by = event.target.closest?.(".cited, .source > summary");
  if (event.target.closest?.("#source-panel .dialog-close")) closeSource();
  if (!by) return;
  event.preventDefault(); // or the passage would open below the answer too
  openSource(by);
});
