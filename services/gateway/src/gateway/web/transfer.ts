import { type PreviousUpload, Upload } from "tus-js-client";
import { byId, bytes, duration } from "./dom";

const SPEED_WINDOW_MS = 5000;

/** One archive on its way: progress, speed, pause, resume, also after the page was closed. */
export class Transfer {
  state: "none" | "running" | "paused" | "done" = "none";
  private upload: Upload | undefined;
  private seen: [time: number, sent: number][] = [];
  private readonly box = byId("upload");
  private readonly input = byId<HTMLInputElement>("file");
  private readonly bar = byId<HTMLProgressElement>("upload-bar");
  private readonly line = byId("upload-state");
  private readonly pauseButton = byId<HTMLButtonElement>("upload-pause");

  /** `complain` shows a sentence at the field, or takes it away. */
  constructor(
    private readonly words: DOMStringMap,
    private readonly region: () => string,
    private readonly complain: (message: string | null, signedOut?: boolean) => void,
  ) {
    this.input.addEventListener("change", () => this.take(this.input.files?.[0]));
    this.pauseButton.addEventListener("click", () => void (this.state === "paused" ? this.resume() : this.pause()));
    byId("upload-cancel").addEventListener("click", () => void this.cancel());
    this.acceptDrops(byId("drop"));
    addEventListener("beforeunload", (event) => {
      if (this.state === "running") event.preventDefault();
    });
  }

  /** The id at the end of the upload's address. */
  get uploadId(): string | null {
    return this.upload?.url?.split("?")[0]!.split("/").pop() ?? null;
  }

  /** After publishing: the same file chosen again is a new upload. */
  forget(): void {
    this.state = "none";
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith("tus::") && localStorage.getItem(key)?.includes(this.upload?.url ?? "\0")) localStorage.removeItem(key);
    }
  }

  private acceptDrops(area: HTMLElement): void {
    for (const name of ["dragenter", "dragover"]) {
      area.addEventListener(name, (event) => {
        event.preventDefault();
        area.classList.add("over");
      });
    }
    for (const name of ["dragleave", "drop"]) area.addEventListener(name, () => area.classList.remove("over"));
    area.addEventListener("drop", (event) => {
      event.preventDefault();
      this.take(event.dataTransfer?.files[0]);
    });
  }

  private take(file: File | undefined): void {
    if (!file) return;
    this.complain(null);
    if (file.size === 0) return this.complain(this.words.tEmptyFile!);
    if (file.size > Number(this.words.maxBytes)) return this.complain(this.words.tTooLarge!);
    void this.start(file);
  }

  private async start(file: File): Promise<void> {
    await this.upload?.abort();
    byId("drop").hidden = true;
    this.box.hidden = false;
    byId("upload-name").textContent = file.name;
    byId("upload-size").textContent = bytes(file.size);
    this.showButtons(true);
    const upload = new Upload(file, {
      endpoint: this.words.uploads!,
      chunkSize: 16 * 2 ** 20,
      retryDelays: [0, 1000, 3000, 5000, 10_000, 20_000],
      metadata: { filename: file.name, ...(this.region() ? { region: this.region() } : {}) },
      onProgress: (sent, total) => this.progress(sent, total),
      onError: (error) => this.failed(error),
      onSuccess: () => this.succeeded(),
    });
    this.upload = upload;
    const [previous] = newestFirst(await upload.findPreviousUploads());
    if (previous) upload.resumeFromPreviousUpload(previous);
    this.resume();
  }

  private resume(): void {
    this.seen = [];
    this.complain(null);
    this.setState("running");
    this.upload?.start();
  }

  private async pause(): Promise<void> {
    this.setState("paused");
    this.line.textContent = `${this.percent()} · ${this.words.tPaused}`;
    await this.upload?.abort();
  }

  private async cancel(): Promise<void> {
    const upload = this.upload;
    this.upload = undefined;
    this.setState("none");
    this.box.hidden = true;
    byId("drop").hidden = false;
    this.bar.value = 0;
    this.input.value = "";
    this.input.focus();
    await upload?.abort(true).catch(() => undefined); // what the server still keeps expires there
  }

  private progress(sent: number, total: number): void {
    this.bar.value = sent / total;
    if (this.state !== "running") return;
    const now = performance.now();
    this.seen.push([now, sent]);
    while (this.seen.length > 2 && now - this.seen[0]![0] > SPEED_WINDOW_MS) this.seen.shift();
    const [since, sentThen] = this.seen[0]!;
    const speed = (sent - sentThen) / Math.max(0.05, (now - since) / 1000);
    const left = speed > 0 ? ` · ${duration((total - sent) / speed)} ${this.words.tLeft}` : "";
    this.line.textContent = `${this.percent()} · ${bytes(Math.round(speed))}/s${left}`;
  }

  private failed(error: unknown): void {
    this.setState("paused");
    const signedOut = statusOf(error) === 401;
    const problem = signedOut ? this.words.tSignIn! : problemOf(error);
    this.line.textContent = problem ? `${this.percent()}` : this.words.tOffline!;
    if (problem) this.complain(problem, signedOut);
  }

  private succeeded(): void {
    this.setState("done");
    this.bar.value = 1;
    this.line.textContent = `100 % · ${this.words.tUploaded}`;
    this.showButtons(false);
    this.complain(null);
  }

  private percent(): string {
    return `${Math.floor(100 * this.bar.value)} %`;
  }

  private setState(state: Transfer["state"]): void {
    this.state = state;
    this.box.dataset.state = state;
    this.pauseButton.textContent = (state === "paused" ? this.words.tResume : this.words.tPause) ?? "";
  }

  private showButtons(running: boolean): void {
    this.pauseButton.hidden = !running;
  }
}

function newestFirst(uploads: PreviousUpload[]): PreviousUpload[] {
  return uploads.toSorted((a, b) => b.creationTime.localeCompare(a.creationTime));
}

function statusOf(error: unknown): number | undefined {
  return (error as { originalResponse?: { getStatus(): number } | null }).originalResponse?.getStatus();
}

/** What the server said in words (RFC 9457), if it answered at all. */
function problemOf(error: unknown): string | null {
  const response = (error as { originalResponse?: { getBody(): string } | null }).originalResponse;
  if (!response) return null;
  try {
    const { detail, remedy } = JSON.parse(response.getBody()) as { detail?: string; remedy?: string };
    return [detail, remedy].filter(Boolean).join(" ") || null;
  } catch {
    return null;
  }
}
