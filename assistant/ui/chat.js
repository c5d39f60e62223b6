// The chat page's own script: three things that Gradio has no setting for.
"use strict";

// The copy button takes the whole bubble; sources and notes under the reply are not the reply.
const UNDER = '\n<div class="under">';
if (navigator.clipboard) {
  const write = navigator.clipboard.writeText.bind(navigator.clipboard);
  navigator.clipboard.writeText = (text) => write(text.split(UNDER)[0]);
}

// The address names the open conversation, so that a reload shows it again.
let open = null;
new MutationObserver(() => {
  const id = document.getElementById("open-conversation")?.textContent ?? "";
  if (id === open) return;
  const first = open === null;
  open = id;
  if (first && !id) return;
  const address = new URL(location);
  if (id) address.searchParams.set("conversation", id);
  else address.searchParams.delete("conversation");
  history.replaceState(null, "", address);
}).observe(document, { childList: true, subtree: true, characterData: true });

// Escape closes the panel that is open; the textbox is focused by "/".
document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "Escape") document.querySelector(".panel .cancel")?.click();
  if (event.key === "/" && !typing) {
    event.preventDefault();
    document.querySelector("#question textarea")?.focus();
  }
});
