// The upload page: the file travels at once, resumable; the entry is published when the form and the upload are ready.
import { Authors } from "./authors";
import { byId, element, fill } from "./dom";
import { chooseFastest } from "./regions";
import { Transfer } from "./transfer";

interface Problem {
  detail?: string;
  remedy?: string;
  field?: string;
  errors?: { field: string; detail: string; remedy: string }[];
}

const form = byId<HTMLFormElement>("publish-form");
const words = form.dataset;
const dialog = byId<HTMLDialogElement>("agreement");
const agree = byId<HTMLInputElement>("agree");
const agreeButton = byId<HTMLButtonElement>("agree-publish");
const authors = new Authors(byId("authors"), (name) => fill(words.tRemove, name), words.tOrcid!, (message) =>
  message ? showError("authors", message) : clearError("authors"),
);
const region = document.getElementById("region") as HTMLSelectElement | null;
const transfer = new Transfer(words, () => region?.value ?? "", (message, signedOut) => {
  if (!message) return clearError("upload_id");
  showError("upload_id", message);
  if (signedOut) fieldOf("upload_id")?.querySelector(".error")?.append(" ", signInLink());
});
// One key for one entry: a repetition after a lost answer does not publish twice. A changed form is another entry.
let key = newKey();
const MOST_FORMATS_SHOWN = 8;
const formats = [...byId<HTMLSelectElement>("format").options];

/** The form stays as it is: signing in happens in another tab. */
function signInLink(): HTMLElement {
  return element("a", { class: "link", href: words.signIn!, target: "_blank" }, words.tSignInLink!);
}

function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function value(id: string): string {
  return byId<HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement>(id).value.trim();
}

function checked(id: string): boolean {
  return byId<HTMLInputElement>(id).checked;
}

function fieldOf(name: string): HTMLElement | null {
  return form.querySelector<HTMLElement>(`[data-field="${CSS.escape(name)}"]`);
}

function clearError(name: string): void {
  const field = fieldOf(name);
  field?.removeAttribute("data-invalid");
  field?.querySelectorAll(".error").forEach((error) => error.remove());
  field?.querySelector("[aria-invalid]")?.removeAttribute("aria-invalid");
}

/** At the field where there is one, else above the button. */
function showError(name: string, message: string): void {
  const field = fieldOf(name);
  if (!field) {
    byId("form-error").replaceChildren(element("div", { class: "banner bad" }, element("strong", {}, message)));
    return;
  }
  clearError(name);
  field.setAttribute("data-invalid", "");
  const id = `error-${name.replaceAll(".", "-")}`;
  field.append(element("span", { class: "error", id }, message));
  const control = field.querySelector("input:not([type=file]), select, textarea");
  control?.setAttribute("aria-invalid", "true");
  control?.setAttribute("aria-errormessage", id);
}

function showErrors(errors: [string, string][]): void {
  for (const [name, message] of errors) showError(name, message);
  form.querySelectorAll("details:has([data-invalid]), details[data-invalid]").forEach((details) => details.setAttribute("open", ""));
  const first = form.querySelector<HTMLElement>("[data-invalid]");
  first?.scrollIntoView({ block: "center" });
  first?.querySelector<HTMLElement>("input, select, textarea")?.focus({ preventScroll: true });
}

function missing(): [string, string][] {
  const errors: [string, string][] = [];
  if (!value("name")) errors.push(["name", words.tNeedName!]);
  if (!authors.all().length) errors.push(["authors", words.tNeedAuthor!]);
  if (transfer.state === "none") errors.push(["upload_id", words.tNeedFile!]);
  else if (transfer.state !== "done") errors.push(["upload_id", words.tNeedUpload!]);
  if (!checked("private") && !value("description")) errors.push(["description", words.tNeedDescription!]);
  if (value("cutoff") && !(cutoff() > 0 && Number.isFinite(cutoff()))) errors.push(["level_of_theory.cutoff_ev", words.tNeedCutoff!]);
  return errors;
}

/** eV; NaN for what is no number. */
function cutoff(): number {
  return Number(value("cutoff").replace(/\s*eV$/i, "").replace(",", "."));
}

function entry(): Record<string, unknown> {
  const theory = { functional: value("functional"), code: value("code"), cutoff_ev: value("cutoff") && cutoff(), k_points: value("k-points"), basis: value("basis") };
  const given = Object.fromEntries(Object.entries(theory).filter(([, text]) => text));
  return {
    upload_id: transfer.uploadId,
    name: value("name"),
    dataset_id: words.datasetId || null,
    authors: authors.all(),
    dpa: checked("dpa"),
    format: value("format"),
    licence: value("licence"),
    private: checked("private"),
    description: byId<HTMLTextAreaElement>("description").value,
    level_of_theory: Object.keys(given).length ? given : null,
    agreement: words.agreement,
  };
}

async function publish(): Promise<void> {
  agreeButton.disabled = true;
  try {
    const response = await fetch(words.datasets!, {
      method: "POST",
      // The language in which the agreement was shown is kept with it.
      headers: { "content-type": "application/json", "idempotency-key": key, "accept-language": document.documentElement.lang },
      body: JSON.stringify(entry()),
    });
    const answer = (await response.json()) as { id?: string } & Problem;
    if (response.ok) {
      transfer.forget();
      location.assign(`/datasets/${answer.id}`);
      return;
    }
    dialog.close();
    if (response.status === 401) {
      showError("", `${words.tNotPublished!} ${answer.remedy ?? ""}`);
      byId("form-error").querySelector("strong")?.append(" ", signInLink());
      return;
    }
    const errors = answer.errors ?? [{ field: answer.field ?? "", detail: answer.detail ?? "", remedy: answer.remedy ?? "" }];
    showErrors(errors.map((one) => [one.field, `${one.detail} ${one.remedy}`.trim()]));
  } catch {
    dialog.close();
    showError("", words.tNotPublished!);
  } finally {
    agreeButton.disabled = !agree.checked;
  }
}

/** The hint under the format: what one calculation is, and its usual names. */
function explainFormat(): void {
  const select = byId<HTMLSelectElement>("format");
  const chosen = select.selectedOptions[0];
  const hint = byId("format-hint");
  const templates: Record<string, string | undefined> = { file: words.tReadsFile, files: words.tReadsFiles, folder: words.tReadsFolder };
  const { reads, names, example } = chosen?.dataset ?? {};
  const told = reads && names ? [fill(templates[reads], names)] : [hint.dataset.detect!];
  if (example) told.push(fill(words.tExample, example));
  hint.textContent = told.join(" ");
}

/**
 * Shows the formats of which a title, name, alias or file name has what was typed. Only where one fits it is chosen:
 * of several the person chooses, and until then what was chosen before stays so.
 */
function searchFormats(): void {
  const select = byId<HTMLSelectElement>("format");
  const wanted = value("format-search").toLowerCase();
  const chosen = select.selectedOptions[0] ?? formats[0]!;
  const found = formats.filter((option) => !wanted || option.dataset.search?.includes(wanted));
  const several = wanted !== "" && found.length > 1;
  select.replaceChildren(...(several ? new Set([chosen, ...found]) : found.length ? found : formats));
  if (several) select.size = Math.min(select.length, MOST_FORMATS_SHOWN);
  else closeFormats();
  select.value = (found.length === 1 ? found[0]! : chosen).value;
  explainFormat();
  if (!found.length) byId("format-hint").textContent = words.tNoFormat!;
  else if (several) byId("format-hint").textContent = fill(words.tFormats, String(found.length));
}

/** From a list of what was found back to one line. */
function closeFormats(): void {
  byId("format").removeAttribute("size");
}

/** What hangs on the two boxes: the format, and what a public entry must say. */
function explainBoxes(): void {
  const dpa = checked("dpa");
  byId("format-field").hidden = !dpa;
  byId("shared-note").hidden = dpa;
  const hidden = byId<HTMLInputElement>("private");
  if (!dpa) hidden.checked = false; // what is neither shown nor trained on would be of use to nobody
  hidden.disabled = !dpa;
  byId("description-optional").hidden = !hidden.checked;
}

/** The server's own rendering, taken from a document: no markup is made of strings here. */
function preview(): void {
  const [box, button] = [byId("preview-box"), byId("preview-button")];
  const open = box.hidden;
  button.setAttribute("aria-expanded", String(open));
  box.hidden = true;
  if (!open) return;
  const request = new XMLHttpRequest();
  request.open("POST", words.preview!);
  request.responseType = "document";
  request.onload = () => {
    const rendered = request.responseXML?.getElementById("previewed");
    box.replaceChildren(rendered ? document.adoptNode(rendered) : words.tNotPublished!);
    box.hidden = false;
  };
  request.send(new URLSearchParams({ description: byId<HTMLTextAreaElement>("description").value }));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  authors.confirm();
  byId("form-error").replaceChildren();
  form.querySelectorAll<HTMLElement>("[data-field]").forEach((field) => clearError(field.dataset.field!));
  const errors = missing();
  if (errors.length) return showErrors(errors);
  agree.checked = false;
  agreeButton.disabled = true;
  dialog.showModal();
});
form.addEventListener("input", (event) => {
  key = newKey();
  const field = (event.target as Element).closest<HTMLElement>("[data-field]");
  if (field) clearError(field.dataset.field!);
});
// Enter confirms an author and must not publish from any other field either: Publish is a button.
form.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  if (event.target instanceof HTMLInputElement) event.preventDefault();
  else if (event.target === byId("format")) closeFormats();
});
agree.addEventListener("change", () => (agreeButton.disabled = !agree.checked));
agreeButton.addEventListener("click", () => void publish());
byId("agree-back").addEventListener("click", () => dialog.close());
byId("format").addEventListener("change", explainFormat);
for (const name of ["click", "blur"]) byId("format").addEventListener(name, closeFormats);
byId("format-search").addEventListener("input", searchFormats);
byId("dpa").addEventListener("change", explainBoxes);
byId("private").addEventListener("change", explainBoxes);
byId("preview-button").addEventListener("click", preview);
byId("licence").addEventListener("change", (event) => {
  byId("licence-short").textContent = (event.target as HTMLSelectElement).selectedOptions[0]!.dataset.short!;
});
byId<HTMLInputElement>("markdown").addEventListener("change", async (event) => {
  const file = (event.target as HTMLInputElement).files?.[0];
  if (file) byId<HTMLTextAreaElement>("description").value = await file.text();
});
// What only the form without script needs would be in the way of this one.
authors.addLines(byId<HTMLTextAreaElement>("authors-plain").value);
form.querySelectorAll(".plain-only").forEach((one) => one.remove());
explainBoxes();
if (region) void chooseFastest(region, words);
