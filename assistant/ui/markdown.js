/* Markdown as nodes, never as HTML: what a document or a model wrote cannot become a tag.
   Images are links, for an image that loads tells its server what was read. */

const BLOCK = /^(?:```|#{1,6} |[-*+] |\d{1,3}[.)] |> )/;
const INLINE = new RegExp(
  [
    "`([^`]+)`", // 1 code
    "!?\\[([^\\]]*)\\]\\(([^()\\s]+(?:\\([^()\\s]*\\)[^()\\s]*)?)[^()]*\\)", // 2 text, 3 address
    "\\*\\*(?=\\S)(.+?)\\*\\*", // 4 strong
    "(?<![\\w*])[*_](?=\\S)([^*_]+?)[*_](?!\\w)", // 5 emphasis
    "(https?://[^\\s<>\"']*[^\\s<>\"'.,;:!?)\\]])", // 6 a bare address
  ].join("|"),
);
const DEEPEST = 4;

/** The text as nodes, to be appended somewhere. */
export function rendered(text) {
  const whole = document.createDocumentFragment();
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  while (lines.length) {
    if (!lines[0].trim()) lines.shift();
    else whole.append(block(lines));
  }
  return whole;
}

function block(lines) {
  const first = lines[0].trimStart();
  if (first.startsWith("```")) return fenced(lines);
  const heading = /^#{1,6} (.*)/.exec(first);
  if (heading) {
    lines.shift();
    const line = element("p", "heading");
    line.append(inline(heading[1]));
    return line;
  }
  if (/^[-*+] /.test(first)) return list(lines, "ul", /^\s*[-*+] (.*)/);
  if (/^\d{1,3}[.)] /.test(first)) return list(lines, "ol", /^\s*\d{1,3}[.)] (.*)/);
  if (first.startsWith("> ")) return list(lines, "blockquote", /^\s*> ?(.*)/);
  return paragraph(lines);
}

function fenced(lines) {
  lines.shift();
  const kept = [];
  while (lines.length && !lines[0].trimStart().startsWith("```")) kept.push(lines.shift());
  lines.shift();
  const code = element("code");
  code.textContent = kept.join("\n");
  const box = element("pre");
  box.tabIndex = 0; // what is wider than the panel is scrolled by keys
  box.append(code);
  return box;
}

function list(lines, name, pattern) {
  const whole = element(name);
  if (name === "ol") whole.start = parseInt(lines[0], 10) || 1;
  while (lines.length && pattern.test(lines[0])) {
    const item = element(name === "blockquote" ? "p" : "li");
    item.append(inline(pattern.exec(lines.shift())[1]));
    whole.append(item);
  }
  return whole;
}

function paragraph(lines) {
  const kept = [lines.shift()];
  while (lines.length && lines[0].trim() && !BLOCK.test(lines[0].trimStart())) {
    kept.push(lines.shift());
  }
  const whole = element("p");
  whole.append(inline(kept.join("\n")));
  return whole;
}

function inline(text, depth = 0) {
  const whole = document.createDocumentFragment();
  while (text) {
    const found = depth < DEEPEST ? INLINE.exec(text) : null;
    if (!found) {
      whole.append(text);
      break;
    }
    whole.append(text.slice(0, found.index), marked(found, depth + 1));
    text = text.slice(found.index + found[0].length);
  }
  return whole;
}

function marked([all, code, label, target, strong, emphasis, bare], depth) {
  if (code !== undefined) {
    const node = element("code");
    node.textContent = code;
    return node;
  }
  if (target !== undefined) return link(target, label) || all;
  if (bare !== undefined) return link(bare, bare) || all;
  const node = element(strong === undefined ? "em" : "strong");
  node.append(inline(strong ?? emphasis, depth));
  return node;
}

/** A link that opens elsewhere and tells nothing; null for an address that is none of the web. */
export function link(address, label) {
  if (!/^https?:\/\//i.test(address) || !URL.canParse(address)) return null;
  const node = element("a");
  node.href = address;
  node.target = "_blank";
  node.rel = "noopener noreferrer nofollow";
  node.title = address;
  node.textContent = label || address;
  return node;
}

function element(name, kind = "") {
  const node = document.createElement(name);
  if (kind) node.className = kind;
  return node;
}
