// The life of a dataset as the server tells it: parts of its JSON that replace what was known.

export interface Point {
  step: number;
  energy_rmse_mev_per_atom: number;
  force_rmse_mev_per_angstrom: number;
}

export interface Training {
  state: string;
  attempt: number;
  step: number;
  total_steps: number;
  eta_seconds: number | null;
  curve?: Point[];
}

export interface Reading {
  step: string;
  files: number;
  calculations: number;
  parsed: number;
  frames: number;
  set_aside: number;
  eta_seconds: number | null;
}

export interface QueuePlace {
  line: string;
  position: number;
  eta_low_seconds: number | null;
  eta_high_seconds: number | null;
}

/** `snapshot` has every member; an update has those that changed. */
export interface DatasetChange {
  state?: string;
  held_up?: { reason: string } | null;
  reading?: Reading | null;
  queue?: QueuePlace | null;
  reruns?: { id: string; state: string }[];
  looked_into?: boolean;
  training?: Training | null;
  point?: Point | null;
}

const RETRY_MS = 10_000;

/** Follows until `stop` is called. The browser reconnects with Last-Event-ID; where it gives up, this starts again. */
export function follow(url: string, onChange: (change: DatasetChange) => void, onLost: () => void): { stop: () => void } {
  let source: EventSource;
  let retry = 0;
  const open = () => {
    source = new EventSource(url);
    const take = (event: MessageEvent<string>) => onChange(JSON.parse(event.data) as DatasetChange);
    source.addEventListener("snapshot", take);
    source.addEventListener("update", take);
    source.addEventListener("error", () => {
      onLost();
      if (source.readyState === EventSource.CLOSED) retry = window.setTimeout(open, RETRY_MS);
    });
  };
  const stop = () => {
    clearTimeout(retry);
    source.close();
  };
  open();
  addEventListener("pagehide", stop); // HTTP/1.1 has six connections a host: give this one back
  return { stop };
}
