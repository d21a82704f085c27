// The queue while it is open: when a line changes, the server's own rendering replaces what is shown.
import { byId } from "./dom";
import { localiseTimes } from "./main";
import { exchangeLive, refresher } from "./refresh";

const WAITING_TIMES_MS = 30_000; // they run down although nothing happens
const refresh = refresher((fresh) => {
  const next = exchangeLive(fresh);
  if (next) localiseTimes(next);
});
const source = new EventSource(byId("live").dataset.events!);
source.addEventListener("changed", refresh);
setInterval(() => document.visibilityState === "visible" && refresh(), WAITING_TIMES_MS);
addEventListener("pagehide", () => source.close()); // HTTP/1.1 has six connections a host: give this one back
