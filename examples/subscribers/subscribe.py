"""Print every publish event of Potluck, from the first one on, and go on with what comes.

    pip install nats-py
    POTLUCK_EVENTS=nats://127.0.0.1:4222 POTLUCK_USER=alice POTLUCK_PASSWORD=… python subscribe.py [--again]

Acknowledged events do not come again: stopped and started, the program goes on where it was. `--again` begins anew.
"""

import asyncio
import json
import os
import ssl
import sys

import nats


async def main() -> None:
    user = os.environ["POTLUCK_USER"]
    authority = os.environ.get("POTLUCK_CA")  # of a server with a certificate of its own
    connection = await nats.connect(
        os.environ["POTLUCK_EVENTS"],
        user=user,
        password=os.environ["POTLUCK_PASSWORD"],
        inbox_prefix=f"_INBOX_{user}",
        max_reconnect_attempts=-1,
        **({"tls": ssl.create_default_context(cafile=authority)} if authority else {}),
    )
    if "--again" in sys.argv:
        await connection.request(f"$JS.potluck.API.CONSUMER.RESET.PUBLISHED.{user}", b'{"seq": 1}', timeout=10)
    consumer = await connection.jetstream(domain="potluck").pull_subscribe_bind(
        user, "PUBLISHED", inbox_prefix=f"_INBOX_{user}.".encode()
    )
    while True:
        try:
            messages = await consumer.fetch(100, timeout=30)
        except TimeoutError:  # of nats-py or of asyncio: fetch raises either
            continue  # nothing happened for half a minute
        except (nats.errors.Error, nats.js.errors.Error) as error:
            print(f"the server is away: {error!r}", file=sys.stderr)
            await asyncio.sleep(1)
            continue
        for message in messages:
            attributes = message.headers or {}
            print(attributes["ce-time"], attributes["ce-type"], json.loads(message.data), flush=True)
            await message.ack()


if __name__ == "__main__":
    asyncio.run(main())
