/* The chat in the frame: asks, shows the answer while it is made, keeps what was typed.
   The visitor is known by a random token in this frame's own storage; no cookie is sent. */
import { link, rendered } from "./markdown.js";
import { feedbackUnder, fresh } from "./panel_feedback.js";
import { languageOf, wordsIn } from "./panel_words.js";

const told = new URLSearchParams(location.hash.slice(1)); // what the website says, ...
const house = document.documentElement.dataset; // ... and what the workspace says otherwise
const language = languageOf(told.get("lang"), navigator.language);
const words = wordsIn(language);
const address = location.pathname.replace(/\/$/, "");
const place = `apprentice:${address.split("/").pop()}`;
const framed = parent !== window;
const title = told.get("title") || house.name || document.title;
const find = (id) => document.getElementById(id);
const [log, box, form, problem] = ["log", "box", "form", "problem"].map(find);
const [send, stop, starters] = ["send", "stop", "starters"].map(find);
const state = { visitor: "", conversation: null, draft: "", ...stored() };
if (!state.visitor) state.visitor = fresh() + fresh();
let running = false;
let taken = false; // the server has the question
const DOUBLE_MS = 500; // a second click so soon is one of a double click
const PATIENCE_MS = 120_000; // so long a full server is asked again, after 1 s, 2, 4, then every 8
let leaving = new AbortController(); // who waits for a full server leaves by it

function stored() {
  try {
    return JSON.parse(localStorage.getItem(place)) || {};
  } catch {
    return {}; // storage is switched off: this visit is remembered while the page is open
  }
}

function keep(changed) {
  Object.assign(state, changed);
  try {
    if (!state.lent) localStorage.setItem(place, JSON.stringify(state));
  } catch {
    // as above
  }
}

function post(type, detail) {
  // the server lets only the key's own websites frame this page
  if (framed) parent.postMessage({ apprentice: type, detail }, "*");
}

/* ---- how it looks */

function dress() {
  const page = document.documentElement;
  page.lang = language;
  if (["light", "dark"].includes(told.get("theme"))) page.dataset.theme = told.get("theme");
  for (const name of ["accent", "ink"]) {
    const colour = told.get(name) || "";
    if (/^#[0-9a-f]{6}$/i.test(colour)) page.style.setProperty(`--${name}`, colour);
  }
  document.title = find("title").textContent = title;
  find("avatar").hidden = !house.avatar;
  if (house.avatar) find("avatar").src = `${address}/avatar?v=${house.avatar}`;
  box.placeholder = told.get("placeholder") || words.box;
  box.setAttribute("aria-label", words.box);
  const names = { new: words.fresh, close: words.close, send: words.send, stop: words.stop };
  for (const [id, name] of Object.entries(names)) {
    find(id).setAttribute("aria-label", name);
    find(id).title = name;
  }
  log.setAttribute("aria-label", title);
  find("close").hidden = !framed || Boolean(told.get("inline"));
  box.value ||= state.draft; // somebody may type before this runs
  grow();
}

function grow() {
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight + 2, 160)}px`;
}

function empty() {
  log.replaceChildren(bubble("assistant", [paragraph(told.get("greeting") || house.greeting || words.greeting)]));
  starters.replaceChildren(...offered().map((text) => {
    const offer = document.createElement("button");
    offer.type = "button";
    offer.textContent = text;
    offer.addEventListener("click", () => ask(text));
    return offer;
  }));
}

function offered() {
  try {
    const list = JSON.parse(told.get("starters") || house.starters || "[]");
    return list.filter((text) => typeof text === "string").slice(0, 6);
  } catch {
    return [];
  }
}

function bubble(role, nodes) {
  const whole = document.createElement("div");
  whole.className = `said ${role}`;
  whole.append(...nodes);
  return whole;
}

function paragraph(text, kind = "") {
  const node = document.createElement("p");
  node.textContent = text;
  node.className = kind;
  return node;
}

function shown(message) {
  if (message.role === "user") return bubble("user", [paragraph(message.text)]);
  const parts = [rendered(message.text)];
  if (message.end) parts.push(paragraph(words[message.end], "note"));
  if (message.sources.length) parts.push(sources(message.sources));
  parts.push(feedbackUnder(message, words, judged));
  return bubble("assistant", parts);
}

function sources(list) {
  const whole = document.createElement("div");
  whole.append(paragraph(words.source, "note"));
  for (const source of list) {
    const fold = document.createElement("details");
    const name = document.createElement("summary");
    name.textContent = `[${source.number}] ${source.document}`;
    fold.append(name, paragraph(source.text, "passage"));
    const page = source.url && link(source.url, words.open);
    if (page) {
      page.setAttribute("aria-label", `${words.open} (${words.newTab})`);
      fold.append(page);
    }
    whole.append(fold);
  }
  return whole;
}

function scroll() {
  log.scrollTop = log.scrollHeight;
}

/* ---- the server */

/** Its answer. Throws a sentence for the visitor, which says why there is none. */
async function call(path, body, signal) {
  let answer;
  try {
    answer = await fetch(`${address}/${path}`, {
      method: body ? "POST" : "GET",
      credentials: "omit",
      headers: { "X-Apprentice-Visitor": state.visitor, "Content-Type": "application/json" },
      body: body && JSON.stringify(body),
      signal,
    });
  } catch {
    throw new Error(words.lost);
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  const full = answer.status === 503 && { busy: words.full, moving: words.wait }[said.code];
  throw Object.assign(new Error(sentence(said)), { full });
}

/** The answer's events, as soon as there is a place among those who read one. Each waits a little
    longer or shorter than the next, so that a crowd does not come back in one moment. */
async function admitted(body, answer) {
  leaving = new AbortController();
  const { signal } = leaving;
  const last = Date.now() + PATIENCE_MS;
  for (let wait = 1000; ; wait = Math.min(2 * wait, 8000)) {
    try {
      return await call("ask", body, signal);
    } catch (error) {
      if (signal.aborted) throw new Error("");
      if (!error.full || Date.now() > last) throw error;
      answer.replaceChildren(paragraph(error.full, "note"));
    }
    stop.disabled = false;
    await new Promise((go) => {
      setTimeout(go, wait * (0.5 + Math.random()));
      signal.addEventListener("abort", go);
    });
    if (signal.aborted) throw new Error("");
  }
}

function sentence({ code, error }) {
  return words[code] || error || words.lost;
}

async function judged(body) {
  const conversation = state.conversation;
  await call("feedback", { ...body, conversation });
  const { message, rating, correction } = body;
  post("feedback", { message, rating: rating || 0, correction: Boolean(correction) });
}

/** What this visitor said before, as the server has it. */
async function restore() {
  const query = new URLSearchParams({ sources: told.get("sources") || "" });
  if (state.conversation !== null) query.set("conversation", state.conversation);
  const { conversation, messages } = await (await call(`history?${query}`)).json();
  if (running) return messages; // somebody asks already: what comes is drawn
  keep({ conversation });
  if (!messages.length) empty();
  else {
    log.replaceChildren(...messages.map(shown));
    starters.replaceChildren();
  }
  scroll();
  return messages;
}

async function restoreOrSay() {
  try {
    await restore();
    say("");
  } catch (error) {
    empty();
    say(error.message, restoreOrSay);
  }
}

function say(text, again) {
  problem.replaceChildren();
  if (!text) return;
  problem.append(paragraph(text));
  if (again) {
    const retry = document.createElement("button");
    retry.type = "button";
    retry.textContent = words.again;
    retry.addEventListener("click", again);
    problem.append(retry);
  }
  post("error", { error: text });
}

/* ---- one question */

async function ask(question, variant = "") {
  question = question.trim();
  if (running || !question) return;
  busy(true);
  taken = false;
  say("");
  if (!state.conversation) log.replaceChildren();
  starters.replaceChildren();
  const asked = bubble("user", [paragraph(question)]);
  const answer = bubble("assistant", [paragraph(words.wait, "note")]);
  if (variant) log.lastElementChild.remove();
  log.append(...(variant ? [answer] : [asked, answer]));
  scroll();
  try {
    const sources = told.get("sources") || "";
    const body = { question, conversation: state.conversation || "", variant, sources };
    await follow(await admitted(body, answer), answer);
    busy(false);
  } catch (error) {
    busy(false);
    await failed(error.message, question, answer);
  }
}

/** Draws the answer from its events; throws where it ends with an error or not at all. */
async function follow(response, answer) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  let text = "";
  let drawn = false;
  for (;;) {
    const { value, done } = await reader.read().catch(() => ({ done: true }));
    if (done) throw new Error(words.lost);
    waiting += value;
    const events = waiting.split("\n\n");
    waiting = events.pop();
    for (const event of events) {
      const said = JSON.parse(event.slice("data: ".length));
      if (said.type === "start") started(said.conversation);
      else if (said.type === "error") throw new Error(sentence(said));
      else if (said.type === "done") {
        answer.replaceWith(shown(said.message));
        scroll();
        post("message", { role: "assistant", id: said.message.id });
        return;
      } else text += said.text;
    }
    if (!text || drawn) continue;
    drawn = true;
    requestAnimationFrame(() => {
      drawn = false;
      const low = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
      if (answer.isConnected) answer.replaceChildren(rendered(text));
      if (low) scroll();
    });
  }
}

function started(conversation) {
  taken = true;
  setTimeout(() => { stop.disabled = false; }, DOUBLE_MS);
  keep({ conversation, draft: "" });
  box.value = "";
  grow();
  post("message", { role: "user" });
}

/** The page as the server knows it; a question that it did not take goes back into the box.
    What was said before the connection broke stays in sight until the server is back. */
async function failed(text, question, answer, again = false) {
  let messages = [];
  try {
    messages = await restore();
  } catch {
    if (taken) {
      answer.querySelector(".note")?.remove();
      answer.append(paragraph(words.interrupted, "note"));
      say(words.cut, () => failed(text, question, answer, true));
      return;
    }
    while (log.lastElementChild?.matches(".said:not(.user)")) log.lastElementChild.remove();
    log.lastElementChild?.remove();
  }
  const [before, last] = messages.slice(-2);
  const half = last?.role === "assistant" && before?.text === question && last.end;
  if (half && again) {
    ask(question, last.id);
    return;
  }
  if (!half && !box.value.trim()) {
    keep({ draft: question });
    box.value = question;
    grow();
  }
  say(text, () => {
    if (half) ask(question, last.id);
    else form.requestSubmit();
  });
}

function busy(now) {
  running = now;
  log.setAttribute("aria-busy", String(now)); // so that an answer is read out once, at its end
  const stopped = !now && document.activeElement === stop;
  send.hidden = now;
  stop.hidden = !now;
  stop.disabled = now; // until the server has the question
  if (stopped) send.focus(); // a hidden button would take the focus with it
}

function reset() {
  if (running) return;
  keep({ conversation: "" });
  say("");
  empty();
  box.focus();
}

/* ---- what people do */

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask(box.value);
});
box.addEventListener("input", () => {
  keep({ draft: box.value });
  grow();
});
box.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});
stop.addEventListener("click", () => {
  const { conversation } = state;
  if (taken) call("stop", { conversation }).catch((error) => say(error.message));
  else leaving.abort();
});
find("new").addEventListener("click", reset);
find("close").addEventListener("click", () => post("close"));
addEventListener("keydown", (event) => {
  if (event.key === "Escape") post("close");
});
addEventListener("message", (event) => {
  if (!framed || event.source !== parent) return;
  const { apprentice: type, visitor } = event.data || {};
  if (type === "focus") box.focus();
  if (type === "reset") reset();
  if (type === "identify" && visitor !== state.visitor) {
    Object.assign(state, { visitor, conversation: null, lent: true }); // the website keeps it
    restoreOrSay();
  }
});

dress();
post("ready", { title });
restoreOrSay();
