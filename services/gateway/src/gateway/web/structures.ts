// The section of structures on a dataset's page: fetched and drawn once it is seen, stepped through with a slider.
import { element } from "./dom";
import { colour } from "./elements";
import type { Structure, Viewer } from "./viewer";

const PLAY_MS = 220;

/** Waits until the section is seen. Returns what ends it, when the page exchanges its content. */
export function watchStructures(): () => void {
  const box = document.getElementById("structures");
  if (!box) return () => undefined;
  let shown: Shown | undefined;
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    shown = new Shown(box);
    void shown.load();
  }, { rootMargin: "200px" });
  observer.observe(box);
  return () => {
    observer.disconnect();
    shown?.destroy();
  };
}

class Shown {
  private structures: Structure[] = [];
  private viewer: Viewer | undefined;
  private timer: number | undefined;
  private readonly stage: HTMLElement;
  private readonly slider: HTMLInputElement;
  private readonly play: HTMLElement;

  constructor(private readonly box: HTMLElement) {
    this.stage = box.querySelector(".stage")!;
    this.slider = box.querySelector("input[type=range]")!;
    this.play = box.querySelector("[data-play]")!;
    this.slider.addEventListener("input", () => this.show());
    this.play.addEventListener("click", () => this.toggle());
  }

  async load(): Promise<void> {
    const words = this.box.dataset;
    try {
      const answer = await fetch(words.url!);
      if (!answer.ok) throw new Error(`${answer.status}`);
      this.structures = ((await answer.json()) as { structures: Structure[] }).structures;
    } catch {
      return this.say(words.tFailed!);
    }
    if (!this.structures.length) return this.say(words.tNone!);
    try {
      const { Viewer } = await import("./viewer");
      this.viewer = new Viewer(this.stage);
    } catch {
      return this.say(words.tNoGl!);
    }
    this.slider.max = String(this.structures.length - 1);
    this.box.querySelectorAll<HTMLElement>("[hidden]").forEach((row) => (row.hidden = row.classList.contains("stage-row") && this.structures.length < 2));
    this.show();
  }

  destroy(): void {
    clearInterval(this.timer);
    this.viewer?.destroy();
  }

  private say(sentence: string): void {
    this.stage.replaceChildren(element("p", { class: "sub" }, sentence));
  }

  private show(): void {
    const place = Number(this.slider.value);
    const structure = this.structures[place]!;
    this.viewer!.show(structure);
    const counts = new Map<string, number>();
    for (const symbol of structure.symbols) counts.set(symbol, (counts.get(symbol) ?? 0) + 1);
    const formula = [...counts].sort(([a], [b]) => a.localeCompare(b)).map(([symbol, count]) => (count > 1 ? `${symbol}${count}` : symbol)).join(" ");
    const { tFrame, tAtoms } = this.box.dataset;
    const atoms = (tAtoms ?? "").replace("{n}", String(structure.symbols.length));
    const about = (tFrame ?? "").replace("{frame}", (1 + (structure.frame ?? place)).toLocaleString("en")).replace("{formula}", formula).replace("{atoms}", atoms);
    this.box.querySelector("[data-about]")!.textContent = about;
    this.slider.setAttribute("aria-valuetext", about);
    this.box.querySelector("[data-legend]")!.replaceChildren(...[...counts.keys()].sort().map((symbol) => legend(symbol)));
  }

  private toggle(): void {
    const playing = this.timer !== undefined;
    clearInterval(this.timer);
    this.timer = playing ? undefined : window.setInterval(() => this.next(), PLAY_MS);
    this.play.setAttribute("aria-pressed", String(!playing));
  }

  private next(): void {
    this.slider.value = String((Number(this.slider.value) + 1) % this.structures.length);
    this.show();
  }
}

function legend(symbol: string): HTMLElement {
  const dot = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  dot.setAttribute("viewBox", "0 0 10 10");
  dot.setAttribute("class", "swatch");
  const circle = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  for (const [name, value] of Object.entries({ cx: "5", cy: "5", r: "4.5", fill: colour(symbol) })) circle.setAttribute(name, value);
  dot.append(circle);
  return element("span", { class: "el" }, dot, symbol);
}
