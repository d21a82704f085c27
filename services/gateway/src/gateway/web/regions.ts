// The upload page's choice of a region: each is measured, and the fastest is chosen unless the person chose already.
import { fill } from "./dom";

const TRIES = 3;
const PATIENCE_MS = 4000;

/** The shortest of some round trips, ms; none when it does not answer. The first opens the connection. */
async function measured(url: string): Promise<number | undefined> {
  let best: number | undefined;
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const began = performance.now();
    try {
      await fetch(url, { cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(PATIENCE_MS) });
    } catch {
      return best;
    }
    best = Math.min(best ?? Infinity, performance.now() - began);
  }
  return best;
}

export async function chooseFastest(select: HTMLSelectElement, words: DOMStringMap): Promise<void> {
  let chosen = false;
  select.addEventListener("change", () => (chosen = true), { once: true });
  const found = await Promise.all([...select.options].map(async (option) => ({ option, time: await measured(option.dataset.probe!) })));
  const reached = found.filter((one): one is { option: HTMLOptionElement; time: number } => one.time !== undefined);
  const fastest = reached.toSorted((a, b) => a.time - b.time)[0];
  for (const { option, time } of found) {
    const away = time === undefined ? words.tUnreachable! : fill(option === fastest?.option ? words.tFastest : words.tAway, `${Math.max(1, Math.round(time))} ms`);
    option.textContent = `${option.dataset.title} · ${away}`;
    option.disabled = time === undefined;
  }
  if (fastest && !chosen) select.value = fastest.option.value;
  select.dataset.measured = "yes";
}
