"""A bare grpc.aio server that returns one message, and a client with many calls at a time; each a process of its own.

`python bare_registry.py serve <file of a GetModelResponse>` prints its port;
`python bare_registry.py call <address> <requests file> <seconds> <concurrency>` prints JSON: as many calls as it takes,
so many at a time. 0 seconds: each request once.
`python bare_registry.py offer <address> <requests file> <seconds> <calls a second>` prints JSON: calls that come when
they come, whether earlier ones were answered or not. A latency counts from when the call was due.
"""

import asyncio
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import grpc
from contracts.registry.v1 import registry_pb2 as registry
from contracts.registry.v1 import registry_pb2_grpc

SEED = 20261126


class Bare(registry_pb2_grpc.RegistryServiceServicer):
    """Answers every question with the same message."""

    def __init__(self, message: registry.GetModelResponse) -> None:
        self._message = message

    async def GetModel(self, request: registry.GetModelRequest, context: Any) -> registry.GetModelResponse:
        return self._message


async def serve(message: Path) -> None:
    server = grpc.aio.server()
    answer = registry.GetModelResponse.FromString(message.read_bytes())
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(Bare(answer), server)  # type: ignore[abstract]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


async def call(address: str, requests: list[bytes], seconds: float, concurrency: int) -> dict[str, float]:
    """Calls, calls a second, and the latencies in seconds."""
    latencies: list[float] = []
    async with grpc.aio.insecure_channel(address) as channel:
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/contracts.registry.v1.RegistryService/GetModel"
        )
        assert await method(requests[0])
        started = time.perf_counter()
        until = started + seconds

        async def caller(number: int) -> None:
            place = number
            while (begin := time.perf_counter()) < until or (not seconds and place < len(requests)):
                await method(requests[place % len(requests)])
                latencies.append(time.perf_counter() - begin)
                place += concurrency

        await asyncio.gather(*(caller(number) for number in range(concurrency)))
        took = time.perf_counter() - started
    return _told(latencies, took)


async def offer(address: str, requests: list[bytes], seconds: float, per_second: float) -> dict[str, float]:
    """As `call`, with the load of many callers who do not know of each other: a Poisson process."""
    latencies: list[float] = []
    chance = random.Random(SEED)
    async with grpc.aio.insecure_channel(address) as channel:
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/contracts.registry.v1.RegistryService/GetModel"
        )
        assert await method(requests[0])

        async def ask(request: bytes, due: float) -> None:
            await method(request)
            latencies.append(time.perf_counter() - due)

        started = due = time.perf_counter()
        async with asyncio.TaskGroup() as calls:
            while (due := due + chance.expovariate(per_second)) < started + seconds:
                await asyncio.sleep(due - time.perf_counter())
                calls.create_task(ask(chance.choice(requests), due))
        took = time.perf_counter() - started
    return _told(latencies, took)


def _told(latencies: list[float], took: float) -> dict[str, float]:
    latencies.sort()
    return {
        "calls": len(latencies),
        "per_second": len(latencies) / took,
        "median": latencies[len(latencies) // 2],
        "p99": latencies[int(0.99 * len(latencies))],
    }


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve(Path(sys.argv[2])))
    else:
        asked = [bytes.fromhex(line) for line in Path(sys.argv[3]).read_text().split()]
        seconds, number = float(sys.argv[4]), int(sys.argv[5])
        load = call if sys.argv[1] == "call" else offer
        print(json.dumps(asyncio.run(load(sys.argv[2], asked, seconds, number))))
