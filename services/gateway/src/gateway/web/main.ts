// What every page needs: the theme switch, copy buttons, times in the reader's zone, tooltips that Escape hides.
import { announce } from "./dom";
import { hushTooltips } from "./tips";

const root = document.documentElement;

/** The forms, in the bar and in the menu of a phone, work without this; with it, the page changes without loading again. */
function switchThemeInPlace(): void {
  document.querySelectorAll<HTMLFormElement>("[data-theme-form]").forEach((form) => form.addEventListener("submit", (event) => {
    event.preventDefault();
    const theme = event.submitter?.getAttribute("value") === "dark" ? "dark" : "light";
    root.dataset.theme = theme;
    root.dispatchEvent(new CustomEvent("themechange"));
    form.querySelectorAll<HTMLButtonElement>("button").forEach((button) => button.checkVisibility() && button.focus());
    // The server puts the cookie's theme into the next page: no flash, no inline script. Kept alive, it is told even by
    // who leaves the page at once.
    void fetch(form.action, { keepalive: true, method: "POST", body: new URLSearchParams({ theme, next: "/" }), redirect: "manual" });
  }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => root.dispatchEvent(new CustomEvent("themechange")));
}

async function copy(button: HTMLElement): Promise<void> {
  await navigator.clipboard.writeText(button.dataset.copy ?? "");
  button.dataset.copied = "";
  announce("✓");
  setTimeout(() => delete button.dataset.copied, 1600);
}

/** Times come in UTC; readers get their own zone and language. Runs again on what a live page replaced. */
export function localiseTimes(scope: ParentNode): void {
  const day = new Intl.DateTimeFormat(root.lang, { dateStyle: "medium" });
  const moment = new Intl.DateTimeFormat(root.lang, { dateStyle: "medium", timeStyle: "short" });
  scope.querySelectorAll<HTMLTimeElement>("time[data-time]").forEach((time) => {
    const when = new Date(time.dateTime);
    time.textContent = (time.dataset.time === "day" ? day : moment).format(when);
    time.title = when.toISOString();
  });
}

document.addEventListener("click", (event) => {
  const target = event.target as Element;
  const button = target.closest<HTMLElement>("[data-copy]");
  if (button) void copy(button);
  const menu = target.closest<HTMLElement>(".menu a")?.closest<HTMLElement>(".menu");
  menu?.hidePopover(); // a link to a part of this page would leave it open
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") hushTooltips();
});
switchThemeInPlace();
localiseTimes(document);
