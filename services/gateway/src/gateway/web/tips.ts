// Tooltips of the Progress line: the style sheet shows them; here is what takes a script.

const OPEN = ".step:is([data-held], :has(.step-more:is(:hover, :focus-visible), .tip:hover))";

// Where the page stood after the last exchange: a shorter one scrolls by itself, and nobody has moved.
let settled = -1;

/** WCAG 1.4.13: Escape hides a tooltip without moving focus or pointer. */
export function hushTooltips(): void {
  document.querySelectorAll<HTMLElement>(OPEN).forEach((step) => {
    delete step.dataset.held;
    step.dataset.hush = "";
  });
}

/** Call it with what is about to be replaced, and its result with what took the place: a tooltip that somebody reads
 *  stays until they move on, though its mark may now stand elsewhere; one that Escape hid stays hidden. */
export function keepTooltips(before: HTMLElement): (next: HTMLElement) => void {
  const keys = (selector: string) => [...before.querySelectorAll<HTMLElement>(selector)].map((step) => step.dataset.step);
  const hushed = keys(".step[data-hush]");
  const held = keys("[data-held]"); // beside it another mark may have come under the pointer, which did not move
  const open = (held.length ? held : keys(OPEN)).filter((key) => !hushed.includes(key));
  return (next) => {
    next.querySelectorAll<HTMLElement>(".step").forEach((step) => {
      if (hushed.includes(step.dataset.step)) step.dataset.hush = "";
      if (open.includes(step.dataset.step)) step.dataset.held = "";
    });
    settled = scrollY;
  };
}

/** Pointer or focus moved: from here on they alone say what is open. */
function moveOn(): void {
  document.querySelectorAll<HTMLElement>(".step[data-held]").forEach((step) => delete step.dataset.held);
  document.querySelectorAll<HTMLElement>(".step[data-hush]:not(:hover, :focus-within)").forEach((step) => delete step.dataset.hush);
}

for (const moved of ["pointermove", "pointerdown", "focusin"]) document.addEventListener(moved, moveOn, { passive: true });
document.addEventListener("scroll", () => scrollY !== settled && moveOn(), { passive: true });
