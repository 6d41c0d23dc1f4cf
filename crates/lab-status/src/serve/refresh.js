// Takes the next look over into the page, so that it stays where it was scrolled to. Without it the page reloads itself.
"use strict";
const main = () => document.querySelector("main");
const newest = () => document.querySelector("#events tr")?.textContent ?? "";
const scrolled = () => document.querySelector(".picture");
async function refresh() {
  const status = document.getElementById("connection");
  try {
    const response = await fetch(location.href, { cache: "no-store" });
    if (!response.ok) throw new Error(String(response.status));
    const next = new DOMParser().parseFromString(await response.text(), "text/html");
    const { scrollLeft, scrollTop } = scrolled();
    const focused = document.activeElement === scrolled();
    document.title = next.title;
    document.querySelector("header").replaceWith(next.querySelector("header"));
    // What is selected stays so, as long as nothing has changed.
    if (!main().isEqualNode(next.querySelector("main"))) {
      const before = newest();
      main().replaceWith(next.querySelector("main"));
      Object.assign(scrolled(), { scrollLeft, scrollTop });
      if (focused) scrolled().focus({ preventScroll: true });
      // For whoever listens instead of looking.
      if (newest() !== before) document.getElementById("news").textContent = newest();
    }
    status.textContent = "";
  } catch {
    status.textContent = "lab-status serve has ended, or does not answer: what follows is old.";
  }
  const seconds = Number(document.querySelector("header").dataset.every);
  setTimeout(refresh, 1000 * seconds);
}
setTimeout(refresh, 1000 * Number(document.querySelector("header").dataset.every));
