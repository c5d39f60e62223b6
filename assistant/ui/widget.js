/* The one line on somebody's website: a button in a shadow root, a frame behind it.
   Nothing is asked of the server before it is opened. No inline style, no HTML from text. */
(() => {
  "use strict";
  const script = document.currentScript;
  if (window.Apprentice || !script || !script.dataset.key) return;

  const option = script.dataset;
  const base = new URL(".", script.src);
  const listening = [["message", heard], ["keydown", escape]];
  const WAIT_MS = 15000; // for the panel's first word; a server that is away gives none
  const SAID_MS = 2000; // for the same once the frame has loaded: another page may stand in it
  const WORDS = {
    en: ["Ask a question", "Close the chat", "Chat"],
    de: ["Frage stellen", "Chat schließen", "Chat"],
    es: ["Hacer una pregunta", "Cerrar el chat", "Chat"],
    fr: ["Poser une question", "Fermer le chat", "Chat"],
  };
  const language = [option.lang, document.documentElement.lang, navigator.language]
    .filter((tag) => tag && tag !== "auto")
    .map((tag) => tag.slice(0, 2).toLowerCase())
    .find((tag) => WORDS[tag]) || "en";
  const [ASK, CLOSE, CHAT] = WORDS[language];
  const accent = /^#[0-9a-f]{6}$/i.test(option.accent || "") ? option.accent : "#0f766e";
  const ink = inkOn(accent);
  const place = option.target ? document.querySelector(option.target) : null;
  const inline = Boolean(place);

  const STYLE = `
    :host { all: initial; }
    button, iframe { font: 16px/1.2 system-ui, sans-serif; border: 0; margin: 0; }
    button {
      position: fixed; z-index: var(--z); bottom: var(--y); right: var(--x);
      min-width: 56px; min-height: 56px; padding: 0 20px; border-radius: 28px;
      background: var(--accent); color: var(--ink); cursor: pointer;
      box-shadow: 0 2px 12px rgb(0 0 0 / .3); transition: transform .15s;
    }
    button:hover { transform: scale(1.04); }
    button:focus-visible { outline: 3px solid var(--ink); outline-offset: -6px; }
    .panel {
      position: fixed; z-index: var(--z); right: var(--x); bottom: calc(var(--y) + 68px);
      width: min(var(--w), calc(100vw - 2 * var(--x)));
      height: min(var(--h), calc(100dvh - var(--y) - 88px));
      border-radius: 14px; overflow: hidden; box-shadow: 0 8px 40px rgb(0 0 0 / .35);
      animation: rise .18s ease-out;
    }
    .left { right: auto; left: var(--x); }
    button.top { bottom: auto; top: var(--y); }
    .panel.top { bottom: auto; top: calc(var(--y) + 68px); }
    iframe { display: block; width: 100%; height: 100%; background: Canvas; }
    .inline { width: 100%; height: var(--h); }
    [hidden] { display: none !important; }
    @keyframes rise { from { opacity: 0; transform: translateY(12px); } }
    @media (max-width: 479px) {
      .panel { inset: 0; width: 100%; height: 100dvh; border-radius: 0; }
      .panel.top { top: 0; }
      .panel.spoken:not([hidden]) + button { display: none; }
    }
    @media (prefers-reduced-motion: reduce) {
      .panel { animation: none; }
      button { transition: none; }
      button:hover { transform: none; }
    }`;

  const host = document.createElement("div");
  const root = host.attachShadow({ mode: "open" });
  const panel = document.createElement("div");
  const button = document.createElement("button");
  const waiting = []; // messages for a panel that has not spoken yet
  let frame = null;
  let spoken = false;
  let focusWanted = false;
  let timer = 0;

  function draw() {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    set("--accent", accent);
    set("--ink", ink);
    set("--z", whole(option.zIndex, 2147483647));
    set("--x", `${whole(option.offsetX, 20)}px`);
    set("--y", `${whole(option.offsetY, 20)}px`);
    set("--w", `${whole(option.width, 400)}px`);
    set("--h", `${whole(option.height, 640)}px`);
    panel.id = "panel";
    panel.hidden = true;
    panel.className = inline ? "inline" : "panel";
    panel.setAttribute("role", inline ? "region" : "dialog");
    panel.setAttribute("aria-label", option.title || CHAT);
    button.type = "button";
    button.setAttribute("aria-haspopup", "dialog");
    button.setAttribute("aria-controls", "panel");
    button.addEventListener("click", toggle);
    for (const corner of (option.position || "").split("-")) {
      if (corner !== "left" && corner !== "top") continue;
      panel.classList.add(corner);
      button.classList.add(corner);
    }
    label();
    root.append(panel, ...(inline ? [] : [button]));
    for (const [name, handler] of listening) addEventListener(name, handler);
    (place || document.body).append(host);
  }

  function set(name, value) {
    host.style.setProperty(name, value);
  }

  function whole(text, otherwise) {
    return /^[0-9]{1,10}$/.test(text || "") ? text : otherwise;
  }

  /* Black or white, whichever is read better: one of them always has 4.5:1 (WCAG 2.2, 1.4.3). */
  function inkOn(colour) {
    const [red, green, blue] = [1, 3, 5].map((at) => {
      const part = parseInt(colour.slice(at, at + 2), 16) / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000000" : "#ffffff";
  }

  function label() {
    button.textContent = panel.hidden ? option.launcherText || ASK : CLOSE;
    button.setAttribute("aria-expanded", String(!panel.hidden));
  }

  /* Options travel behind the #, which no server sees. */
  function address() {
    const asked = new URL(`embed/${encodeURIComponent(option.key)}`, base);
    const told = { lang: language, accent, ink, inline: inline ? "1" : "" };
    for (const name of ["title", "theme", "greeting", "placeholder", "starters", "sources"]) {
      told[name] = option[name] || "";
    }
    asked.hash = new URLSearchParams(told);
    return asked.href;
  }

  function load() {
    frame = document.createElement("iframe");
    frame.title = option.title || CHAT;
    frame.referrerPolicy = "origin";
    const may = "scripts same-origin forms popups popups-to-escape-sandbox";
    frame.setAttribute("sandbox", may.replace(/\S+/g, "allow-$&"));
    frame.addEventListener("load", () => spoken || late(SAID_MS));
    frame.src = address();
    panel.append(frame);
    late(WAIT_MS);
  }

  function late(milliseconds) {
    clearTimeout(timer);
    timer = setTimeout(fail, milliseconds);
  }

  /* No panel behind the button: the key is not valid any more, or the server is away. */
  function fail() {
    close();
    host.remove();
    for (const [name, handler] of listening) removeEventListener(name, handler);
    emit("error", { error: "The chat is not available." });
  }

  function show(focus) {
    if (!host.isConnected || !panel.hidden) return;
    focusWanted = focus;
    panel.hidden = false;
    label();
    if (!frame) load();
    else if (spoken && focus) focusPanel();
    emit("open");
  }

  function focusPanel() {
    focusWanted = false;
    frame.focus();
    send("focus");
  }

  function open() {
    show(!inline);
  }

  function close() {
    if (panel.hidden) return;
    const inside = root.activeElement === frame;
    panel.hidden = true;
    label();
    if (inside && !inline) button.focus();
    emit("close");
  }

  function toggle() {
    if (panel.hidden) open();
    else close();
  }

  function send(type, more) {
    const message = { apprentice: type, ...more };
    if (spoken) frame.contentWindow.postMessage(message, base.origin);
    else waiting.push(message);
  }

  function heard(event) {
    if (!frame || event.source !== frame.contentWindow || event.origin !== base.origin) return;
    const { apprentice: type, detail } = event.data || {};
    if (type === "ready") {
      clearTimeout(timer);
      spoken = true;
      frame.title = detail.title; // the workspace's own name, where the page gives none
      panel.setAttribute("aria-label", detail.title);
      panel.classList.add("spoken");
      for (const message of waiting.splice(0)) {
        frame.contentWindow.postMessage(message, base.origin);
      }
      if (focusWanted) focusPanel();
    } else if (type === "close" && !inline) {
      close();
    } else if (["message", "feedback", "error"].includes(type)) {
      emit(type, detail);
    }
  }

  function escape(event) {
    if (event.key === "Escape" && !inline && root.activeElement) close();
  }

  function emit(name, detail = {}) {
    document.dispatchEvent(new CustomEvent(`apprentice:${name}`, { detail, bubbles: true }));
  }

  window.Apprentice = Object.freeze({
    open,
    close,
    toggle,
    reset: () => send("reset"),
    identify: (visitor) => send("identify", { visitor: String(visitor) }),
    on(name, handler) {
      const listener = (event) => handler(event.detail);
      document.addEventListener(`apprentice:${name}`, listener);
      return () => document.removeEventListener(`apprentice:${name}`, listener);
    },
  });

  function begin() {
    draw();
    emit("ready");
    const wanted = inline ? "true" : option.open || "false";
    const seconds = wanted === "true" ? 0 : Number(whole(wanted, NaN));
    if (!Number.isNaN(seconds)) setTimeout(show, seconds * 1000, false);
  }

  if (document.body) begin();
  else addEventListener("DOMContentLoaded", begin, { once: true });
})();
