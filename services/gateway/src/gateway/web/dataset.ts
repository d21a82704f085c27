// A dataset's page stays true while it is open: numbers and curve move with each event; when the state changes, the
// server's own rendering of the page replaces what is shown, so that there is one rendering in one language.
import { Curve, type Series } from "./chart";
import { announce, byId, digits, duration, waiting } from "./dom";
import { type DatasetChange, follow, type Point, type QueuePlace, type Reading, type Training } from "./live";
import { localiseTimes } from "./main";
import { exchangeLive, refresher } from "./refresh";
import { watchStructures } from "./structures";

type Quantity = "force" | "energy";
interface Embedded {
  points: Point[];
  total_steps: number;
  zero_shot: Record<Quantity, number | null>;
}

const UNIT: Record<Quantity, string> = { force: "meV/Å", energy: "meV/atom" };
const FINAL = new Set(["published", "rejected", "not-passed", "shared", "withdrawn"]);
const page = byId("dataset");
const known: DatasetChange = {};
let quantity: Quantity = "force";
let newest: Point | undefined;
let embedded: Embedded | undefined;
let curve: Curve | undefined;
const refresh = refresher(replaceLive);

const live = () => byId("live");
const valueOf = (point: Point) => (quantity === "force" ? point.force_rmse_mev_per_angstrom : point.energy_rmse_mev_per_atom);

function series(data: Embedded): Series {
  return {
    steps: data.points.map((point) => point.step),
    values: data.points.map(valueOf),
    zeroShot: data.zero_shot[quantity],
    unit: UNIT[quantity],
    totalSteps: data.total_steps,
  };
}

/** Takes over the training card that the server rendered, if there is one. */
function adoptTraining(): void {
  curve?.destroy();
  curve = undefined;
  const script = document.getElementById("training-data");
  embedded = script ? (JSON.parse(script.textContent ?? "") as Embedded) : undefined;
  document.querySelectorAll<HTMLButtonElement>("[data-quantity-button]").forEach((button) => {
    button.addEventListener("click", () => choose(button.dataset.quantityButton as Quantity));
  });
  if (embedded) choose(quantity);
}

function choose(chosen: Quantity): void {
  quantity = chosen;
  document.querySelectorAll<HTMLElement>("[data-quantity-button]").forEach((button) => {
    button.setAttribute("aria-pressed", String(button.dataset.quantityButton === chosen));
  });
  byId("chart").closest<HTMLElement>(".chart")!.dataset.quantity = chosen;
  const zeroShot = embedded!.zero_shot[chosen];
  const zeroValue = document.getElementById("zero-value"); // the first model has nothing before training
  if (zeroValue) zeroValue.textContent = zeroShot === null ? "–" : digits(zeroShot);
  document.querySelectorAll<HTMLElement>("[data-unit]").forEach((unit) => {
    unit.textContent = UNIT[chosen];
  });
  drawCurve();
}

function drawCurve(): void {
  if (!embedded?.points.length) return;
  if (curve) curve.show(series(embedded));
  else curve = new Curve(byId("chart"), series(embedded));
  byId("now-value").textContent = digits(valueOf(embedded.points[embedded.points.length - 1]!));
}

function addPoint(point: Point): void {
  if (!embedded) return;
  embedded.points = [...embedded.points.filter((one) => one.step < point.step), point];
  if (curve) {
    curve.push(point.step, valueOf(point));
    byId("now-value").textContent = digits(valueOf(point));
  } else drawCurve();
}

function showTraining(training: Training): void {
  const fraction = training.step / training.total_steps;
  const steps = (value: number) => value.toLocaleString("en");
  const note = document.getElementById("train-note");
  if (note) note.textContent = (note.dataset.words ?? "").replace("{percent}", `${Math.round(100 * fraction)} %`).replace("{step}", steps(training.step)).replace("{total}", steps(training.total_steps));
  document.querySelector('[data-step="train"] .ring-fg')?.setAttribute("stroke-dasharray", `${(100 * fraction).toFixed(1)} 100`);
  const step = document.getElementById("now-step");
  if (step) step.textContent = steps(training.step);
  const eta = document.getElementById("now-eta");
  if (eta) eta.textContent = training.eta_seconds === null ? "–" : duration(training.eta_seconds);
}

function showReading(reading: Reading): void {
  const card = document.getElementById("reading");
  if (!card) return;
  const told: Record<string, string> = {
    step: card.getAttribute(`data-t-${reading.step}`) ?? "",
    eta_seconds: reading.eta_seconds === null ? "–" : duration(reading.eta_seconds),
  };
  card.querySelectorAll<HTMLElement>("[data-reading]").forEach((place) => {
    const name = place.dataset.reading as keyof Reading;
    place.textContent = told[name] ?? Number(reading[name]).toLocaleString("en");
  });
  const bar = card.querySelector("progress")!;
  if (!reading.calculations) return bar.removeAttribute("value");
  bar.max = reading.calculations;
  bar.value = reading.parsed;
  const ring = document.querySelector('[data-step="submit"] .ring-fg');
  ring?.setAttribute("stroke-dasharray", `${((100 * reading.parsed) / reading.calculations).toFixed(1)} 100`);
  ring?.setAttribute("transform", "rotate(-90 22 22)");
  ring?.closest(".ring")?.classList.remove("turning");
}

function showWaiting(place: QueuePlace): void {
  const { eta_low_seconds: low, eta_high_seconds: high } = place;
  document.querySelectorAll<HTMLElement>("[data-eta]").forEach((words) => {
    const template = (low ? words.dataset.about : words.dataset.within) ?? "";
    words.textContent = low === null || high === null ? "" : template.replace("{range}", waiting(low, high));
  });
}

/** What the page's structure depends on, written the same by the template (data-shape). */
function shape(): string {
  const { state, held_up, reading, queue, training, reruns, looked_into } = known;
  const place = queue ? `${queue.line} ${queue.position}` : "";
  const round = training ? `${training.state} ${training.attempt}` : "";
  const repeated = reruns?.length ? `${reruns[0]!.id} ${reruns[0]!.state}` : "";
  return [state, held_up ? "held-up" : "", reading ? "reading" : "", place, round, repeated, state === "shared" && !looked_into ? "unseen" : ""].join("|");
}

function onChange(change: DatasetChange): void {
  page.dataset.connection = "open";
  Object.assign(known, change);
  const training = change.training;
  if (change.point) newest = change.point;
  else if (newest && training && training.step < newest.step) newest = undefined; // training went back
  // Nothing is read any more once the outcome is there, whatever was on its way.
  if (known.state !== "uploaded") known.reading = null;
  if (known.state !== undefined && known.queue !== undefined && shape() !== live().dataset.shape) return refresh();
  if (known.reading) showReading(known.reading);
  if (change.queue) showWaiting(change.queue);
  if (!training) return;
  showTraining(training);
  if (training.curve && embedded) {
    embedded.points = training.curve;
    drawCurve();
  }
  if (change.point) addPoint(change.point);
}

function replaceLive(fresh: Document): void {
  const told = live().dataset.state;
  const next = exchangeLive(fresh);
  if (!next) return;
  endStructures();
  endStructures = watchStructures();
  localiseTimes(next);
  adoptTraining();
  // Told while a page that does not have it yet was on its way.
  if (newest && embedded && newest.step > (embedded.points.at(-1)?.step ?? -1)) addPoint(newest);
  if (next.dataset.state !== told) announce(next.dataset.says ?? "");
  if (ended()) stream?.stop();
}

/** Nothing more will happen by itself: no check is being repeated, no archive that is shared only looked into. */
function ended(): boolean {
  return FINAL.has(live().dataset.state ?? "") && live().dataset.running !== "yes";
}

adoptTraining();
let endStructures = watchStructures();
const stream = ended()
  ? undefined
  : follow(page.dataset.events!, onChange, () => {
      if (page.dataset.connection === "open") announce(page.dataset.tLost ?? "");
      page.dataset.connection = "lost";
    });
