// The page's elements. A text is written only where it changed, so that a steady page costs nothing.
export const at = (id) => document.getElementById(id);
export const every = (selector) => [...document.querySelectorAll(selector)];

export function write(element, text, title) {
  const value = String(text);
  if (element.textContent !== value) element.textContent = value;
  if (title !== undefined && element.title !== title) element.title = title;
}

export const byTest = (id) => document.querySelector(`[data-testid="${id}"]`);

/** A figure and its unit; where there is none, `otherwise` says of what. One of a thing has a unit of its own. */
export function figure(id, text, unit, otherwise = "", one = unit) {
  const element = byTest(id);
  write(element, text);
  write(element.nextElementSibling, text === "none" ? otherwise : text === "1" ? one : unit);
}

export function mark(element, name, value) {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}

/** Lines of a list, each a text or [text, second, class]. */
export function list(element, lines) {
  const key = JSON.stringify(lines);
  if (element.dataset.key === key) return;
  element.dataset.key = key;
  element.replaceChildren(...lines.map((line) => {
    const item = document.createElement("li");
    const [text, second, name] = Array.isArray(line) ? line : [line];
    item.append(text);
    if (name) item.className = name;
    if (second) {
      const below = document.createElement("span");
      below.className = "do";
      below.textContent = second;
      item.append(below);
    }
    return item;
  }));
}

/** Rows of a table's body: texts, or [text, class]. */
export function rows(body, lines) {
  const key = JSON.stringify(lines);
  if (body.dataset.key === key) return;
  body.dataset.key = key;
  body.replaceChildren(...lines.map((line) => {
    const row = document.createElement("tr");
    for (const cell of line) {
      const [text, name] = Array.isArray(cell) ? cell : [cell];
      const data = document.createElement("td");
      data.textContent = text;
      data.title = text;
      if (name) data.className = name;
      row.append(data);
    }
    return row;
  }));
}
