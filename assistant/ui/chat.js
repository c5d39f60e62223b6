// The chat page's own script: what Gradio has no setting for.
"use strict";

// The copy button takes the whole bubble; sources and notes under the reply are not the reply.
const UNDER = '\n<div class="under">';
if (navigator.clipboard) {
  const write = navigator.clipboard.writeText.bind(navigator.clipboard);
  navigator.clipboard.writeText = (text) => write(text.split(UNDER)[0]);
}

// The address names what is open, so that a reload shows it again.
function nameInAddress() {
  const place = document.getElementById("open-workspace");
  if (!place) return;
  const address = new URL(location);
  const id = document.getElementById("open-conversation").textContent;
  if (id) address.searchParams.set("conversation", id);
  else address.searchParams.delete("conversation");
  if (place.textContent !== "default" || address.searchParams.has("workspace")) {
    address.searchParams.set("workspace", place.textContent);
  }
  if (address.href !== location.href) history.replaceState(null, "", address);
}

new MutationObserver(nameInAddress).observe(document, {
  childList: true,
  subtree: true,
  characterData: true,
});

// On a phone the list of conversations would cover the page; the click counts once Gradio listens.
if (window.innerWidth <= 768) {
  let seen = false;
  const folding = setInterval(() => {
    const button = document.querySelector("#side.open .toggle-button");
    if (button) button.click();
    else if (seen) clearInterval(folding);
    seen ||= Boolean(button);
  }, 100);
  document.addEventListener("click", (event) => {
    const chosen = event.target.closest?.("#new-chat, #recent label, #erase");
    if (chosen) document.querySelector("#side.open .toggle-button")?.click();
  });
}

// Escape closes the open panel; "/" goes to the box.
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.querySelector("#comment-close, #editor-close, #erase-close")?.click();
  if (event.key === "/" && !/^(INPUT|TEXTAREA)$/.test(event.target.tagName)) {
    event.preventDefault();
    document.querySelector("#question textarea")?.focus();
  }
});
