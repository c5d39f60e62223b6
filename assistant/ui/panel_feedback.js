/* Thumbs, reasons and a correction under one answer. */

/** The row of buttons; `save(body)` sends it and throws what is to be read when it fails. */
export function feedbackUnder(message, words, save) {
  const whole = make("div", "feedback");
  const row = make("div", "row");
  const place = make("div");
  const thumbs = [
    [1, words.up],
    [-1, words.down],
  ].map(([rating, name]) => {
    const one = button("", name, () => judge(rating));
    one.dataset.rating = rating;
    one.title = name;
    one.append(thumb());
    return one;
  });
  const correct = button(words.correct, "", () => openCorrection());
  row.append(...thumbs, correct);
  whole.append(row, place);
  press(message.rating);
  told(message.correction);
  return whole;

  function press(rating) {
    for (const one of thumbs) {
      one.setAttribute("aria-pressed", String(Number(one.dataset.rating) === rating));
    }
  }

  async function judge(rating) {
    try {
      await save({ message: message.id, rating, key: fresh() });
      press(rating);
      if (rating < 0) openReasons();
      else place.replaceChildren();
    } catch (error) {
      place.replaceChildren(note(error.message, "alert"));
    }
  }

  function openReasons() {
    const choices = Object.entries(words.reasons).map(([reason, shown]) => {
      const box = make("input");
      box.type = "checkbox";
      box.value = reason;
      const label = make("label", "reason");
      label.append(box, shown);
      return label;
    });
    const group = make("fieldset");
    const legend = make("legend");
    legend.textContent = words.why;
    group.append(legend, ...choices);
    form([group, field(words.remark, "", "remark")], (filled) => {
      const reasons = [...filled.querySelectorAll("input:checked")].map((box) => box.value);
      const comment = filled.querySelector(".remark").value.trim();
      if (!reasons.length && !comment) throw new Error(words.nothing);
      return { reasons, comment };
    });
  }

  function openCorrection() {
    const parts = [field(words.wanted, message.plain, "wanted"), field(words.why, "", "remark")];
    form(parts, (filled) => {
      const correction = filled.querySelector(".wanted").value.trim();
      if (!correction || correction === message.plain.trim()) throw new Error(words.unchanged);
      return { correction, comment: filled.querySelector(".remark").value.trim() };
    });
  }

  /** A form in place of the last one; what is typed stays until it is saved. */
  function form(parts, read) {
    const key = fresh(); // the same for every try: saved twice is saved once
    const filled = make("form");
    const problem = note("", "alert");
    const buttons = make("div", "row");
    const send = button(words.save, "", () => filled.requestSubmit());
    send.className = "main";
    buttons.append(button(words.cancel, "", away), send);
    filled.append(...parts, problem, buttons);
    filled.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        const body = read(filled);
        await save({ message: message.id, ...body, key });
        if (body.correction) told({ status: "waiting", text: "" });
        else place.replaceChildren(note(words.thanks, "status"));
        correct.focus();
      } catch (error) {
        problem.textContent = error.message;
      }
    });
    filled.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      away();
    });
    place.replaceChildren(filled);
    filled.querySelector("textarea, input").focus();
    filled.scrollIntoView({ block: "nearest" });
  }

  function away() {
    place.replaceChildren();
    correct.focus();
  }

  function told(correction) {
    if (!correction) return;
    const said = [note(words[correction.status], "status")];
    if (correction.text) said.push(note(correction.text, "note"));
    place.replaceChildren(...said);
  }
}

function field(name, value, kind) {
  const label = make("label", "field");
  const box = make("textarea", kind);
  box.rows = kind === "wanted" ? 4 : 2;
  box.value = value;
  label.append(name, box);
  return label;
}

function button(text, name, pressed) {
  const node = make("button");
  node.type = "button";
  node.textContent = text;
  if (name) node.setAttribute("aria-label", name);
  node.addEventListener("click", pressed);
  return node;
}

/* Drawn, because not every system has a font with thumbs; the second is turned by the style. */
function thumb() {
  const [drawing, line] = ["svg", "path"].map((name) =>
    document.createElementNS("http://www.w3.org/2000/svg", name),
  );
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("aria-hidden", "true");
  const hand = "M10 20V11l3-7c2 0 2.5 1.5 2 3.5L14.5 10H19c1.5 0 2 1 1.8 2l-1.3 6.5c-.2 1-1 1.5-2 1.5z";
  line.setAttribute("d", `M4 11h3v9H4z${hand}`);
  drawing.append(line);
  return drawing;
}

function note(text, role) {
  const node = make("p", "note");
  node.setAttribute("role", role);
  node.textContent = text;
  return node;
}

function make(name, kind = "") {
  const node = document.createElement(name);
  if (kind) node.className = kind;
  return node;
}

/** 128 random bits; crypto.randomUUID is not there without https. */
export function fresh() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
