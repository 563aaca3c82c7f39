// Dark and light: as the system says, until somebody picks one.
import { at } from "/dashboard/dom.js";

const KEY = "migctl.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

const now = () => document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");

/** changed: called once the colours are others. */
export function begin(changed) {
  const kept = localStorage.getItem(KEY);
  if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
  at("theme").addEventListener("click", () => {
    const other = now() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = other;
    localStorage.setItem(KEY, other);
    changed();
  });
  dark.addEventListener("change", changed);
}
