// Files for the open conversation: chosen, dropped or pasted. The server says what it makes of them.
"use strict";

let sending = Promise.resolve();
let underway = 0;
const mayAttach = () => Boolean(find("#file-most")) && !find("#question .stop-button") && !dialog;

// What is on its way, and why something was refused, above the box.
const coming = document.createElement("div");
coming.id = "coming";
function say(text) {
  coming.querySelector("[role=alert]")?.remove();
  if (!coming.isConnected) find("#ask")?.before(coming);
  if (!text) return;
  const line = document.createElement("p");
  line.setAttribute("role", "alert");
  line.textContent = text;
  coming.append(line);
}
function bar(name) {
  const line = document.createElement("label");
  line.className = "file";
  const text = document.createElement("span");
  text.className = "file-name";
  text.textContent = name;
  line.append(text, document.createElement("progress"));
  coming.append(line);
  return line;
}

// The page asks the server for what it shows, once something has come or gone.
function changed(conversation) {
  const box = find("#attached textarea");
  box.value = conversation;
  box.dispatchEvent(new Event("input", { bubbles: true }));
  find("#attached-look").click();
}
function opened(conversation) {
  return new Promise((resolve) => {
    const began = performance.now();
    const look = setInterval(() => {
      const there = find("#open-conversation")?.textContent === conversation;
      if (!there && performance.now() - began < 5000) return;
      clearInterval(look);
      resolve();
    }, 50);
  });
}

function upload(file, conversation) {
  const line = bar(file.name);
  const progress = line.querySelector("progress");
  const request = new XMLHttpRequest();
  const asked = new URLSearchParams({
    workspace: find("#open-workspace").textContent,
    conversation,
    name: file.name,
    size: file.size,
  });
  request.open("POST", `/files?${asked}`);
  request.responseType = "json";
  request.upload.onprogress = (event) => {
    if (event.loaded < event.total) progress.value = event.loaded / event.total;
    else progress.removeAttribute("value"); // all sent: now it is read
  };
  return new Promise((resolve) => {
    request.onloadend = () => {
      line.remove();
      const { conversation: known, error } = request.response ?? {};
      if (!known) say(error ?? find("#file-lost")?.textContent);
      resolve(known);
    };
    // what is too large is only announced, so that the server can say so
    request.send(file.size > Number(find("#file-most").textContent) ? null : file);
  });
}
async function sendAll(files) {
  let conversation = find("#open-conversation").textContent;
  let taken = false;
  for (const file of files) {
    const known = await upload(file, conversation);
    taken ||= Boolean(known);
    conversation = known ?? conversation;
  }
  if (!taken) return;
  changed(conversation);
  await opened(conversation);
}
function send(files) {
  if (!files.length || !mayAttach()) return;
  say("");
  underway += 1;
  sending = sending.then(() => sendAll(files)).catch(() => say(find("#file-lost")?.textContent))
    .finally(() => { underway -= 1; });
}

const chooser = document.createElement("input");
chooser.type = "file";
chooser.multiple = true;
chooser.addEventListener("change", () => {
  send([...chooser.files]);
  chooser.value = "";
  find("#question textarea")?.focus();
});
document.addEventListener("click", async (event) => {
  if (event.target.closest?.("#attach") && mayAttach()) chooser.click();
  const gone = event.target.closest?.(".file-remove");
  if (!gone || !mayAttach()) return;
  const answer = await fetch(`/files/${gone.value}`, { method: "DELETE" }).catch(() => null);
  const known = await answer?.json().catch(() => null);
  if (known?.conversation) changed(known.conversation);
  else say(known?.error ?? find("#file-lost")?.textContent);
});

// A file that is dropped beside the box must not take the place of the page.
const dragged = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
document.addEventListener("dragover", (event) => {
  if (!dragged(event)) return;
  event.preventDefault();
  document.body.classList.toggle("file-over", mayAttach());
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("file-over");
});
document.addEventListener("drop", (event) => {
  document.body.classList.remove("file-over");
  if (!dragged(event)) return;
  event.preventDefault();
  send([...event.dataTransfer.files]);
});
// What is copied from an office program is text and a picture of it: then the text is meant.
document.addEventListener("paste", (event) => {
  const held = event.clipboardData;
  if (!event.target.closest?.("#question") || !held?.files.length) return;
  if (held.types.includes("text/plain")) return;
  event.preventDefault();
  send([...held.files]);
}, true);

// A question about a file waits for the file.
function wait(event) {
  if (!underway) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}
window.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && event.target.closest?.("#question")) wait(event);
}, true);
window.addEventListener("click", (event) => {
  if (event.target.closest?.("#question .submit-button, #chat .example, #new-chat")) wait(event);
}, true);
