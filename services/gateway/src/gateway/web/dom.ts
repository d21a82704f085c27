/** The element with this id; a page that lost it is a mistake of ours, so it throws. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element #${id}`);
  return found as T;
}

/** Says it to screen readers without moving focus. */
export function announce(text: string): void {
  byId("announcer").textContent = text;
}

/** An element with attributes and children. */
export function element(tag: string, attributes: Record<string, string>, ...children: (Node | string)[]): HTMLElement {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** The text of a translated template such as "Remove %s". */
export function fill(template: string | undefined, value: string): string {
  return (template ?? "%s").replace("%s", value);
}

/** Bytes in powers of 1,000, as the server writes them. */
export function bytes(count: number): string {
  let value = count;
  for (const unit of ["B", "kB", "MB"]) {
    if (value < 999.5) return together(`${value.toFixed(unit === "B" || value >= 99.95 ? 0 : 1)} ${unit}`);
    value /= 1000;
  }
  return together(`${value.toFixed(2)} GB`);
}

/** A number and its unit on one line. */
function together(shown: string): string {
  return shown.replaceAll(" ", "\u00a0");
}

/** Seconds as "42 s", "12 min 05 s" or "3 h 04 min", as the server writes them. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, "0");
  if (whole < 60) return together(`${whole} s`);
  if (whole < 3600) return together(`${Math.floor(whole / 60)} min ${two(whole % 60)} s`);
  return together(`${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`);
}

/** A range of seconds as the server writes it: "20–50 s", "2–5 min", "1.5–3 h"; its end alone where it begins now: "50 s". */
export function waiting(low: number, high: number): string {
  const [unit, seconds] = high < 90 ? ["s", 1] as const : high < 5400 ? ["min", 60] as const : ["h", 3600] as const;
  const [first, last] = [low, high].map((value) => (value / seconds).toFixed(1).replace(/\.0$/, ""));
  return together(low > 0 ? `${first}–${last} ${unit}` : `${last} ${unit}`);
}

/** Three significant digits, as the server writes them: what is next to nothing as 1.85e-16. */
export function digits(value: number): string {
  if (value === 0) return "0";
  if (Math.abs(value) < 1e-4) return value.toExponential(2).replace(/e([+-])(\d)$/, "e$10$2");
  const decimals = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}
