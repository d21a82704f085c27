// The server's own rendering of this page, asked for again: one rendering in one language, no markup made of strings.
import { keepTooltips } from "./tips";

/** A document from XMLHttpRequest runs nothing and needs no innerHTML. */
function fetchPage(): Promise<Document> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", location.href);
    request.responseType = "document";
    request.onload = () => (request.status === 200 && request.responseXML ? resolve(request.responseXML) : reject(new Error(`${request.status}`)));
    request.onerror = () => reject(new Error("network"));
    request.send();
  });
}

/** A function that fetches the page and hands it over; calls while one is under way lead to one more. */
export function refresher(take: (fresh: Document) => void): () => void {
  let refreshing = false;
  let again = false;
  const refresh = async (): Promise<void> => {
    if (refreshing) {
      again = true;
      return;
    }
    refreshing = true;
    try {
      take(await fetchPage());
    } catch {
      setTimeout(() => void refresh(), 2000);
    } finally {
      refreshing = false;
      if (again) {
        again = false;
        void refresh();
      }
    }
  };
  return () => void refresh();
}

/** Elements that a reader takes for that one: of its id or, where it has none, of its address and words. */
function alike(scope: ParentNode, one: Element): HTMLElement[] {
  const name = (each: Element) => each.id || [each.getAttribute("href"), each.getAttribute("aria-label"), each.textContent].join(" ");
  return [...scope.querySelectorAll<HTMLElement>(one.tagName)].filter((each) => name(each) === name(one));
}

/** Exchanges #live; open details and tooltips stay open, focus stays where it was, and nothing scrolls. */
export function exchangeLive(fresh: Document): HTMLElement | undefined {
  const next = fresh.getElementById("live");
  const before = document.getElementById("live");
  if (!next || !before) return undefined;
  const focused = before.contains(document.activeElement) ? (document.activeElement as HTMLElement) : undefined;
  const place = focused ? alike(before, focused).indexOf(focused) : 0;
  const opened = new Set([...before.querySelectorAll("details[open] > summary")].map((summary) => summary.textContent));
  const keepOpen = keepTooltips(before);
  before.replaceWith(document.adoptNode(next));
  document.title = fresh.title;
  next.querySelectorAll("details").forEach((details) => (details.open = opened.has(details.querySelector("summary")?.textContent ?? "")));
  if (focused) alike(next, focused)[place]?.focus({ preventScroll: true });
  keepOpen(next);
  return next;
}
