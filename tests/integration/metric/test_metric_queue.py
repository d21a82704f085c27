"""The line: first come, first served; a dead worker's dataset is taken over; a poisoned one holds up nobody."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import patience
import pytest
from contracts.artifacts import DatasetManifest
from contracts.events import DatasetMetricNotPassed, DatasetMetricStarted
from frames.frame import Frame
from metric.service import MOST_DEATHS
from metric_platform import Environment, Platform, platform_of, until
from ports import free_port


async def test_a_dead_workers_dataset_is_taken_over(
    service_env: Environment,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    molecules: Callable[..., list[Frame]],
) -> None:
    async with platform_of(service_env, monkeypatch, tmp_path, in_process=False) as platform:
        folders = [tmp_path / "worker-a", tmp_path / "worker-b"]
        ports = [free_port(), free_port()]
        workers = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "metric"),
                env=os.environ
                | {
                    "POTLUCK_METRIC_WORK_FOLDER": str(folder),
                    "POTLUCK_METRIC_HEALTH_ADDRESS": f"127.0.0.1:{port}",
                },
                stdout=subprocess.DEVNULL,
            )
            for folder, port in zip(folders, ports, strict=True)
        ]
        try:
            # Both listen before there is work: one that starts later might find the dead one's dataset first.
            for port in ports:
                await ready(port)
            event, _ = await platform.validated(molecules(14, 3000, seed=70))
            await platform.publish(event, uuid4())
            judging: list[int] = []

            def begun() -> bool:
                judging[:] = [number for number in (0, 1) if list(folders[number].glob("process-*/dataset-*"))]
                return bool(judging)

            await until(begun)
            workers[judging[0]].kill()
            await workers[judging[0]].wait()
            left = await platform.rows("select outcome, open_tries from metric.runs")
            assert left == [{"outcome": None, "open_tries": 1}]
            # Others do not wait behind it.
            behind = await platform.judged(molecules(14, 10, seed=71))
            assert len(platform.about(event.dataset)) == 1
            verdict = await platform.outcome(event.dataset)
            assert verdict.run_id != behind.run_id
            rows = await platform.rows("select run_id, outcome, open_tries from metric.runs order by started")
            assert [row["run_id"] for row in rows] == [verdict.run_id, behind.run_id]
            assert [row["open_tries"] for row in rows] == [0, 0]
            assert len((await platform.report(verdict)).verdicts) == 2000
            assert platform.dead == []
        finally:
            for worker in workers:
                with suppress(ProcessLookupError):
                    worker.kill()
                await worker.wait()


async def ready(port: int) -> None:
    """Until the service with this health address consumes."""
    async with asyncio.timeout(patience.SECONDS), httpx.AsyncClient() as client:
        while True:
            with suppress(httpx.TransportError):
                if (await client.get(f"http://127.0.0.1:{port}/health/ready")).status_code == 200:
                    return
            await asyncio.sleep(0.1)


async def test_first_come_first_served_and_a_poisoned_one_is_set_aside(
    platform: Platform, molecules: Callable[..., list[Frame]]
) -> None:
    poisoned, body = await platform.validated(molecules(14, 10, seed=80))
    held_out = DatasetManifest.model_validate_json(body).held_out
    await platform.blobs.put_bytes(held_out.key, b"other bytes than ingest wrote")
    good = [(await platform.validated(molecules(14, 10, seed=81 + k)))[0] for k in range(3)]
    for event in (poisoned, *good):
        await platform.publish(event, uuid4())
    for event in good:
        await platform.outcome(event.dataset)
    started = [one.dataset for one in platform.seen if isinstance(one, DatasetMetricStarted)]
    assert started == [one.dataset for one in (poisoned, *good)]
    await until(lambda: len(platform.dead) == 1)
    headers = platform.dead[0].headers
    assert headers["dead-consumer"] == "metric-dataset-validated"
    assert headers["dead-attempts"] == "3"
    assert held_out.key in headers["dead-reason"]
    assert "do not have the size and SHA-256 that were recorded" in headers["dead-reason"]
    assert [type(one) for one in platform.about(poisoned.dataset)] == [DatasetMetricStarted]
    # Each try ended by itself: none of them counts as a death.
    rows = await platform.rows(f"select open_tries from metric.runs where dataset_id = '{poisoned.dataset.dataset_id}'")
    assert rows == [{"open_tries": 0}]


async def test_a_dataset_that_kills_its_workers_is_set_aside(
    platform: Platform, molecules: Callable[..., list[Frame]]
) -> None:
    deadly, body = await platform.validated(molecules(14, 10, seed=90), store_manifest=False)
    event_id = uuid4()
    await platform.publish(deadly, event_id)
    # Three tries fail for want of a manifest; none of them died.
    await until(lambda: len(platform.dead) == 1)
    await platform.blobs.put_bytes(deadly.manifest.key, body)
    await _died(platform, event_id, MOST_DEATHS)
    await platform.publish(deadly, event_id)
    await until(lambda: len(platform.dead) == 2)
    assert platform.dead[1].headers["dead-attempts"] == "1"
    assert platform.dead[1].headers["dead-reason"] == (
        f"{MOST_DEATHS} metric workers died one after the other while they judged this dataset"
    )
    # One death fewer, and it is judged.
    await _died(platform, event_id, MOST_DEATHS - 1)
    await platform.publish(deadly, event_id)
    await platform.outcome(deadly.dataset)


async def _died(platform: Platform, event_id: UUID, times: int) -> None:
    """As that many workers leave a run that were killed over it."""
    await platform.rows(f"update metric.runs set open_tries = {times} where event_id = '{event_id}'")


async def test_thousands_of_failed_frames_make_a_small_event_and_a_long_table(
    platform: Platform, molecules: Callable[..., list[Frame]]
) -> None:
    frames = molecules(14, 4000, seed=95)
    for frame in frames[:3500]:
        frame.forces[0] += 1.0
    verdict = await platform.judged(frames)
    assert isinstance(verdict, DatasetMetricNotPassed)
    assert verdict.outcome == "not-sound"
    assert verdict.failed_frames >= 3500
    assert len(verdict.body()) < 16_000
    report = await platform.report(verdict)
    failed = [one for one in report.verdicts if one.verdict == "failed"]
    assert len(failed) == verdict.failed_frames
    rows = await platform.table(report)
    assert len(rows) == 4000
    assert sum(row["net_force_level"] == "fail" for row in rows) == 3500
    assert sum(row["verdict"] == "failed" for row in rows) == verdict.failed_frames
