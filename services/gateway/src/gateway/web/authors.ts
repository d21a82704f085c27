import { element } from "./dom";

/** The author field: Enter confirms a name as a chip, Backspace in an empty field takes the last one back. */
export class Authors {
  private readonly list: HTMLElement;
  private readonly input: HTMLInputElement;

  constructor(private readonly box: HTMLElement, private readonly removeLabel: (name: string) => string) {
    this.list = box.querySelector("ol")!;
    this.input = box.querySelector("input")!;
    this.input.addEventListener("keydown", (event) => this.onKey(event));
    this.input.addEventListener("blur", () => this.confirm());
    box.addEventListener("click", (event) => {
      if (event.target === box) this.input.focus();
    });
  }

  names(): string[] {
    return [...this.list.children].map((chip) => (chip as HTMLElement).dataset.name!);
  }

  /** Makes a chip of what is typed; a name that is there already is not repeated. */
  confirm(): void {
    const name = this.input.value.trim().replace(/\s+/g, " ");
    this.input.value = "";
    if (!name || this.names().includes(name)) return;
    const remove = element("button", { type: "button", "aria-label": this.removeLabel(name) }, "×");
    const chip = element("li", { class: "tag", "data-name": name }, name, remove);
    remove.addEventListener("click", () => {
      chip.remove();
      this.changed();
      this.input.focus();
    });
    this.list.append(chip);
    this.changed();
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
      this.input.value = last.dataset.name!;
      last.remove();
      this.changed();
    }
  }

  private changed(): void {
    this.box.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
