// Before a page's own scripts: what it can say of itself afterwards is in `watched`.
// refused: by its policy. shifts: what moved without anybody's doing. words: each that an indicator had.
window.watched = { refused: [], shifts: [], words: [] };
addEventListener("securitypolicyviolation", (one) => watched.refused.push(`${one.violatedDirective}: ${one.blockedURI}`));
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) {
    if (one.hadRecentInput) continue;
    const moved = one.sources.map(({ node }) => node?.id || node?.className || node?.parentElement?.id || node?.parentElement?.className || node?.nodeName);
    watched.shifts.push([one.startTime, one.value, ...moved]);
  }
}).observe({ type: "layout-shift", buffered: true });
addEventListener("DOMContentLoaded", () => {
  for (const word of document.querySelectorAll('[data-testid^="state-"]')) {
    const name = word.dataset.testid.slice("state-".length);
    const note = () => watched.words.push([name, word.textContent, Date.now()]);
    new MutationObserver(note).observe(word, { childList: true, characterData: true, subtree: true });
  }
});
