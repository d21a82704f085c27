// A dataset's page stays true while it is open: numbers and curve move with each event; when the state changes, the
// server's own rendering of the page replaces what is shown, so that there is one rendering in one language.
import { Curve, type Series } from "./chart";
import { announce, byId, digits, duration } from "./dom";
import { type DatasetChange, follow, type Point, type Training } from "./live";
import { localiseTimes } from "./main";

type Quantity = "force" | "energy";
interface Embedded {
  points: Point[];
  total_steps: number;
  zero_shot: Record<Quantity, number | null>;
}

const UNIT: Record<Quantity, string> = { force: "meV/Å", energy: "meV/atom" };
const FINAL = new Set(["published", "rejected", "not-passed"]);
const page = byId("dataset");
const known: DatasetChange = {};
let quantity: Quantity = "force";
let embedded: Embedded | undefined;
let curve: Curve | undefined;
let refreshing = false;
let refreshAgain = false;

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
  byId("now-unit").textContent = UNIT[chosen];
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

/** What the page's structure depends on, written the same by the template (data-shape). */
function shape(): string {
  const { state, held_up, queue, training } = known;
  const place = queue ? `${queue.line} ${queue.position}` : "";
  const round = training ? `${training.state} ${training.attempt}` : "";
  return [state, held_up ? "held-up" : "", place, round].join("|");
}

function onChange(change: DatasetChange): void {
  page.dataset.connection = "open";
  Object.assign(known, change);
  const training = change.training;
  if (known.state !== undefined && known.queue !== undefined && shape() !== live().dataset.shape) return void refresh();
  if (!training) return;
  showTraining(training);
  if (training.curve && embedded) {
    embedded.points = training.curve;
    drawCurve();
  }
  if (change.point) addPoint(change.point);
}

/** The page as the server renders it now. A document from XMLHttpRequest runs nothing and needs no innerHTML. */
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

async function refresh(): Promise<void> {
  if (refreshing) {
    refreshAgain = true;
    return;
  }
  refreshing = true;
  try {
    replaceLive(await fetchPage());
  } catch {
    setTimeout(() => void refresh(), 2000);
  } finally {
    refreshing = false;
    if (refreshAgain) {
      refreshAgain = false;
      void refresh();
    }
  }
}

function replaceLive(fresh: Document): void {
  const next = fresh.getElementById("live");
  if (!next) return;
  const before = live();
  const focused = before.contains(document.activeElement) ? document.activeElement?.id : undefined;
  const opened = new Set([...before.querySelectorAll("details[open] > summary")].map((summary) => summary.textContent));
  const told = before.dataset.state;
  before.replaceWith(document.adoptNode(next));
  document.title = fresh.title;
  next.querySelectorAll("details").forEach((details) => (details.open = opened.has(details.querySelector("summary")?.textContent ?? "")));
  if (focused) document.getElementById(focused)?.focus();
  localiseTimes(next);
  adoptTraining();
  if (next.dataset.state !== told) announce(next.dataset.says ?? "");
  if (FINAL.has(next.dataset.state ?? "")) stream?.stop();
}

adoptTraining();
const stream = FINAL.has(live().dataset.state ?? "")
  ? undefined
  : follow(page.dataset.events!, onChange, () => {
      if (page.dataset.connection === "open") announce(page.dataset.tLost ?? "");
      page.dataset.connection = "lost";
    });
