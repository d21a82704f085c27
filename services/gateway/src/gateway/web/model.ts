// A version's page: while a structure that was sent waits, its place in the line; then the server's own rendering of
// what came of it, and the structure in three dimensions.
import { element } from "./dom";
import type { Structure } from "./viewer";

const LOOK_EVERY_MS = 1000;

interface Prediction {
  state: string;
  position: number | null;
}

function follow(box: HTMLElement): void {
  const place = box.querySelector("[data-position]")!;
  const look = async (): Promise<void> => {
    try {
      const answer = await fetch(box.dataset.url!);
      const told = (await answer.json()) as Prediction;
      if (!answer.ok || told.state !== "waiting") return location.reload();
      place.textContent = (box.dataset.tPosition ?? "").replace("{n}", String(told.position));
    } catch {
      // The connection is away for now: the next look may find it again.
    }
    setTimeout(() => void look(), LOOK_EVERY_MS);
  };
  setTimeout(() => void look(), LOOK_EVERY_MS);
}

async function draw(box: HTMLElement): Promise<void> {
  const stage = box.querySelector<HTMLElement>(".stage")!;
  try {
    const { Viewer } = await import("./viewer");
    new Viewer(stage).show(JSON.parse(document.getElementById("predicted-structure")!.textContent!) as Structure);
  } catch {
    stage.replaceChildren(element("p", { class: "sub" }, box.dataset.tNoGl!));
  }
}

const told = document.getElementById("prediction");
if (told?.dataset.state === "waiting") follow(told);
const predicted = document.getElementById("predicted");
if (predicted) void draw(predicted);
