import { element } from "./dom";

export interface Author {
  name: string;
  orcid?: string;
}

const ORCID = /[\s([,;]+((?:https?:\/\/orcid\.org\/)?[\dXx-]{15,19})[)\]]?\s*$/;

/** 0000-0002-1825-0097, or nothing when the last digit does not fit the others (ISO 7064, mod 11-2). */
export function canonicalOrcid(text: string): string | undefined {
  const digits = text.replace(/^https?:\/\/orcid\.org\//, "").replaceAll("-", "").toUpperCase();
  if (!/^\d{15}[\dX]$/.test(digits)) return undefined;
  const total = [...digits.slice(0, -1)].reduce((sum, digit) => (sum + Number(digit)) * 2, 0);
  const check = (12 - (total % 11)) % 11;
  return digits.endsWith(check === 10 ? "X" : String(check)) ? digits.replace(/(.{4})(?=.)/g, "$1-") : undefined;
}

/** The author field: Enter confirms a name as a chip, Backspace in an empty field takes the last one back. */
export class Authors {
  private readonly list: HTMLElement;
  private readonly input: HTMLInputElement;

  /** `complain` shows a sentence at the field, or takes it away. */
  constructor(
    private readonly box: HTMLElement,
    private readonly removeLabel: (name: string) => string,
    private readonly wrongOrcid: string,
    private readonly complain: (message: string | null) => void,
  ) {
    this.list = box.querySelector("ol")!;
    this.input = box.querySelector("input")!;
    this.input.addEventListener("keydown", (event) => this.onKey(event));
    this.input.addEventListener("blur", () => this.confirm());
    box.addEventListener("click", (event) => {
      if (event.target === box) this.input.focus();
    });
  }

  all(): Author[] {
    return [...this.list.children].map((chip) => {
      const { name, orcid } = (chip as HTMLElement).dataset;
      return orcid ? { name: name!, orcid } : { name: name! };
    });
  }

  /** Lines as the form without script has them. */
  addLines(lines: string): void {
    for (const line of lines.split("\n")) this.add(line);
  }

  /** Makes a chip of what is typed; a name that is there already is not repeated. What stays wrong stays typed. */
  confirm(): void {
    if (this.add(this.input.value)) this.input.value = "";
  }

  private add(typed: string): boolean {
    const claimed = ORCID.exec(typed)?.[1];
    const orcid = claimed ? canonicalOrcid(claimed) : undefined;
    if (claimed && !orcid) {
      this.complain(this.wrongOrcid);
      return false;
    }
    const name = (claimed ? typed.replace(ORCID, "") : typed).trim().replace(/\s+/g, " ");
    if (!name || this.all().some((one) => one.name === name)) return true;
    const remove = element("button", { type: "button", "aria-label": this.removeLabel(name) }, "×");
    const chip = element("li", { class: "tag", "data-name": name }, element("bdi", {}, name), remove);
    if (orcid) {
      chip.dataset.orcid = orcid;
      remove.before(element("span", { class: "orcid", title: orcid }, "iD"));
    }
    remove.addEventListener("click", () => {
      chip.remove();
      this.changed();
      this.input.focus();
    });
    this.list.append(chip);
    this.complain(null);
    this.changed();
    return true;
  }

  private onKey(event: KeyboardEvent): void {
    if (event.isComposing) return; // Enter that ends the input of a Chinese name is not a confirmation
    if (event.key === "Enter") {
      event.preventDefault();
      this.confirm();
    } else if (event.key === "Backspace" && !this.input.value) {
      const last = this.list.lastElementChild as HTMLElement | null;
      if (!last) return;
      event.preventDefault();
      this.input.value = [last.dataset.name, last.dataset.orcid].filter(Boolean).join(" ");
      last.remove();
      this.changed();
    }
  }

  private changed(): void {
    this.box.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
