// The chat page's own script: what Gradio has no setting for.
"use strict";

const find = (selector) => document.querySelector(selector);

// The language that Gradio and the server chose, so that a screen reader pronounces it right.
const spoken = navigator.language.split("-")[0];
if (["de", "es", "fr"].includes(spoken)) document.documentElement.lang = spoken;

// Dark or light: as the system has it until somebody presses the button. Gradio reads the address.
const kept = (place) => ({
  get: (key) => { try { return window[place].getItem(key); } catch { return null; } },
  set: (key, value) => { try { window[place].setItem(key, value); } catch { /* not kept */ } },
});
const store = kept("localStorage");
const theme = store.get("apprentice-theme");
if (theme) showTheme(theme);
function showTheme(name) {
  const address = new URL(location);
  address.searchParams.set("__theme", name);
  history.replaceState(null, "", address);
}
document.addEventListener("click", (event) => {
  if (!event.target.closest?.("#dark-or-light")) return;
  const name = document.body.classList.toggle("dark") ? "dark" : "light";
  store.set("apprentice-theme", name);
  showTheme(name);
});

// The copy button takes the whole bubble; sources and notes under the reply are not the reply.
// What the server put into a text so that nothing in it is a tag (`plain_markdown`) stays here.
const UNDER = '\n<div class="under">';
const asTyped = (text) => text.replace(/(?<=[<!`~])\u2060/g, "");
if (navigator.clipboard) {
  const write = navigator.clipboard.writeText.bind(navigator.clipboard);
  navigator.clipboard.writeText = (text) => write(asTyped(text.split(UNDER)[0]));
}
document.addEventListener("copy", (event) => {
  const text = String(getSelection());
  if (event.target.closest?.("textarea, input") || asTyped(text) === text) return;
  event.clipboardData.setData("text/plain", asTyped(text));
  event.preventDefault();
});

// The whole conversation, as the file that "Save as text" gives.
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("#copy-chat");
  if (!button) return;
  const text = fetch(find("#save-markdown").href).then((answer) => {
    if (!answer.ok) throw new Error(`the conversation came with ${answer.status}`);
    return answer.blob();
  });
  const plain = text.then((said) => new Blob([said], { type: "text/plain" }));
  await navigator.clipboard.write([new ClipboardItem({ "text/plain": plain })]);
  button.classList.add("copied");
  setTimeout(() => button.classList.remove("copied"), 2000);
});
if (!navigator.clipboard) document.documentElement.classList.add("no-clipboard"); // over plain http

// The address names what is open, so that a reload shows it again.
let named = "";
function nameInAddress() {
  const place = find("#open-workspace");
  const id = find("#open-conversation")?.textContent;
  if (!place || named === `${place.textContent} ${id}`) return;
  named = `${place.textContent} ${id}`;
  closeSource();
  const address = new URL(location);
  if (id) address.searchParams.set("conversation", id);
  else address.searchParams.delete("conversation");
  if (place.textContent !== "default" || address.searchParams.has("workspace")) {
    address.searchParams.set("workspace", place.textContent);
  }
  if (address.href !== location.href) history.replaceState(null, "", address);
}

// The assistant's name and picture stand at the top of the side; the tab and the replies take them.
function nameAssistant() {
  const brand = find("#brand");
  const name = brand?.textContent.trim();
  if (name && document.title !== name) document.title = name;
  const picture = brand?.querySelector("img")?.getAttribute("src") ?? "";
  const page = document.documentElement;
  if (!name || (page.dataset.avatar ?? "") === picture) return;
  page.dataset.avatar = picture;
  page.classList.toggle("pictured", Boolean(picture));
  page.style.setProperty("--avatar", picture ? `url("${picture}")` : "none");
}

// What was typed and not sent is there again after a reload, a crash or a lost connection.
// Kept for this tab alone: the next person at this browser must not read it.
const DRAFT = "apprentice-draft";
const drafts = kept("sessionStorage");
let drafted = false;
function restoreDraft() {
  const box = find("#question textarea");
  // not before the server has drawn the page: its first answer would empty the box again
  if (drafted || !box || !find("#open-workspace")) return;
  drafted = true;
  const text = drafts.get(DRAFT);
  if (text && !box.value) {
    box.value = text;
    box.dispatchEvent(new Event("input", { bubbles: true }));
  }
  const keep = () => drafts.set(DRAFT, find("#question textarea")?.value ?? "");
  document.addEventListener("input", (event) => {
    if (event.target.closest?.("#question")) keep();
  });
  window.addEventListener("pagehide", keep);
}
// What was typed into a panel is asked about before the page goes; Escape leaves such a panel open.
let unsaved = false;
document.addEventListener("input", (event) => {
  if (event.target.closest?.(".dialog")) unsaved = true;
});
window.addEventListener("beforeunload", (event) => {
  if (unsaved) event.preventDefault();
});

// Stop stands where send stood: the second click of a double click is not meant for it.
const DOUBLE_MS = 500;
let sentAt = -DOUBLE_MS;
document.addEventListener("click", (event) => {
  if (event.target.closest?.("#question .submit-button")) sentAt = event.timeStamp;
  if (event.timeStamp - sentAt > DOUBLE_MS || !event.target.closest?.("#question .stop-button")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);

// A screen reader hears an answer once, when it is whole, not every piece of it.
const status = document.createElement("div");
status.className = "heard";
status.setAttribute("role", "status");
let answering = false;
function announce() {
  if (!status.isConnected && document.body) document.body.append(status);
  find("#chat .examples[role=list]")?.setAttribute("role", "group"); // buttons are no list items
  find("#chat [role=log][aria-live=polite]")?.setAttribute("aria-live", "off");
  const busy = Boolean(find("#question .stop-button"));
  if (!busy) for (const code of document.querySelectorAll("#chat pre:not([tabindex])")) code.tabIndex = 0; // wide code is scrolled by keys too
  if (busy === answering) return;
  answering = busy;
  const replies = document.querySelectorAll("#chat .bot-row");
  status.textContent = busy ? "" : (replies[replies.length - 1]?.innerText ?? "");
}

// An open panel is a dialog: the rest of the page cannot be reached, and focus comes back after.
let dialog = null;
let before = null;
function tendDialog() {
  const open = [...document.querySelectorAll(".dialog")].find((one) => one.offsetParent || one.offsetHeight);
  if ((open ?? null) === dialog) return;
  if (!dialog) before = document.activeElement;
  dialog = open ?? null;
  unsaved = false;
  for (const rest of [find("#side"), ...(find(".dialog, #chat")?.parentElement.children ?? [])]) {
    if (rest) rest.inert = Boolean(dialog) && rest !== dialog;
  }
  if (dialog) {
    dialog.setAttribute("role", "dialog");
    dialog.setAttribute("aria-modal", "true");
    dialog.setAttribute("aria-labelledby", `${dialog.id}-title`);
    dialog.querySelector("textarea, input, button")?.focus();
  } else if (before?.isConnected) {
    before.focus();
  }
}

// How long the longest of our own tasks took, for whoever measures the page (milliseconds).
window.ours = { calls: 0, longest: 0 };
function timed(...work) {
  const began = performance.now();
  for (const one of work) one();
  window.ours.calls += 1;
  window.ours.longest = Math.max(window.ours.longest, performance.now() - began);
}
let waiting = false;
function tend() {
  waiting = false;
  timed(nameInAddress, nameAssistant, restoreDraft, announce, leaveLine, tendSources);
}
new MutationObserver(() => {
  timed(tendDialog); // at once: a panel takes the focus as it opens
  // the rest once a frame and behind it: then what is read of the page is laid out already
  if (!waiting) requestAnimationFrame(() => setTimeout(tend));
  waiting = true;
}).observe(document, { childList: true, subtree: true, characterData: true, attributeFilter: ["class", "style"] });

// On a phone the list of conversations would cover the page; the click counts once Gradio listens.
if (window.innerWidth <= 768) {
  let seen = false;
  const folding = setInterval(() => {
    const button = find("#side.open .toggle-button");
    if (button) button.click();
    else if (seen) clearInterval(folding);
    seen ||= Boolean(button);
  }, 100);
  document.addEventListener("click", (event) => {
    const chosen = event.target.closest?.("#new-chat, #recent label, #erase, #rename");
    if (chosen) find("#side.open .toggle-button")?.click();
  });
}

// Escape closes the open panel, else it stops the answer; "/" goes to the box, Alt+N begins anew.
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !unsaved) {
    const close = (dialog ?? find("#source-panel.open"))?.querySelector(".dialog-close");
    (close ?? find("#question .stop-button"))?.click();
  }
  if (event.altKey && event.code === "KeyN" && !dialog) {
    event.preventDefault();
    find("#new-chat")?.click();
    find("#question textarea")?.focus();
  }
  if (event.key === "/" && !dialog && !/^(INPUT|TEXTAREA)$/.test(event.target.tagName)) {
    event.preventDefault();
    find("#question textarea")?.focus();
  }
});
