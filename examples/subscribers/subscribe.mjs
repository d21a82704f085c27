// Print every publish event of Potluck, from the first one on, and go on with what comes.
//
//   npm install @nats-io/transport-node @nats-io/jetstream
//   POTLUCK_EVENTS=nats://127.0.0.1:4222 POTLUCK_USER=alice POTLUCK_PASSWORD=… node subscribe.mjs [--again]
//
// With an NKey: POTLUCK_SEED=SU… in place of POTLUCK_PASSWORD. Acknowledged events do not come again: stopped and
// started, the program goes on where it was. `--again` begins anew.
import { jetstream } from "@nats-io/jetstream";
import { connect, nkeyAuthenticator } from "@nats-io/transport-node";

const { POTLUCK_EVENTS, POTLUCK_USER, POTLUCK_PASSWORD, POTLUCK_SEED, POTLUCK_CA } = process.env;
const who = POTLUCK_SEED
  ? { authenticator: nkeyAuthenticator(new TextEncoder().encode(POTLUCK_SEED)) }
  : { user: POTLUCK_USER, pass: POTLUCK_PASSWORD };
const connection = await connect({
  servers: POTLUCK_EVENTS,
  inboxPrefix: `_INBOX_${POTLUCK_USER}`,
  maxReconnectAttempts: -1,
  ...(POTLUCK_CA ? { tls: { caFile: POTLUCK_CA } } : {}),
  ...who,
});
if (process.argv.includes("--again")) {
  await connection.request(`$JS.potluck.API.CONSUMER.RESET.PUBLISHED.${POTLUCK_USER}`, '{"seq": 1}');
}
const consumer = await jetstream(connection, { domain: "potluck" }).consumers.get("PUBLISHED", POTLUCK_USER);
for await (const message of await consumer.consume()) {
  console.log(message.headers.get("ce-time"), message.headers.get("ce-type"), JSON.stringify(message.json()));
  message.ack();
}
