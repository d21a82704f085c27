// The upload page: the file travels at once, resumable; the entry is published when the form and the upload are ready.
import { Authors } from "./authors";
import { byId, element, fill } from "./dom";
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
const authors = new Authors(byId("authors"), (name) => fill(words.tRemove, name));
const transfer = new Transfer(words, (message) => (message ? showError("upload_id", message) : clearError("upload_id")));
// One key for one entry: a repetition after a lost answer does not publish twice. A changed form is another entry.
let key = newKey();

function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function value(id: string): string {
  return byId<HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement>(id).value.trim();
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
  if (!authors.names().length) errors.push(["authors", words.tNeedAuthor!]);
  if (transfer.state === "none") errors.push(["upload_id", words.tNeedFile!]);
  else if (transfer.state !== "done") errors.push(["upload_id", words.tNeedUpload!]);
  if (!byId<HTMLInputElement>("dpa").checked) errors.push(["dpa", words.tNeedDpa!]);
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
    authors: authors.names(),
    format: value("format"),
    licence: value("licence"),
    private: byId<HTMLInputElement>("private").checked,
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
      headers: { "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify(entry()),
    });
    const answer = (await response.json()) as { id?: string } & Problem;
    if (response.ok) {
      transfer.forget();
      location.assign(`/datasets/${answer.id}`);
      return;
    }
    dialog.close();
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
  if (event.key === "Enter" && event.target instanceof HTMLInputElement) event.preventDefault();
});
agree.addEventListener("change", () => (agreeButton.disabled = !agree.checked));
agreeButton.addEventListener("click", () => void publish());
byId("agree-back").addEventListener("click", () => dialog.close());
byId("format").addEventListener("change", explainFormat);
byId("dpa").addEventListener("change", (event) => {
  byId("format-field").hidden = !(event.target as HTMLInputElement).checked;
});
byId<HTMLInputElement>("markdown").addEventListener("change", async (event) => {
  const file = (event.target as HTMLInputElement).files?.[0];
  if (file) byId<HTMLTextAreaElement>("description").value = await file.text();
});
