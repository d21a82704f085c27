"""Write everything that is generated from the contracts: gRPC stubs, JSON Schemas, AsyncAPI.

`python proto/tools/generate.py [target]` writes under `target` (default: the proto folder itself); the contract
tests call it with an empty folder and compare.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from contracts import artifacts, signed, standard, topology
from contracts.base import Frozen
from contracts.envelope import Event
from contracts.events import EVENTS

PROTO = Path(__file__).resolve().parent.parent
ARTIFACTS: tuple[type[Frozen], ...] = (
    artifacts.FormatCatalog,
    artifacts.DatasetManifest,
    artifacts.MetricPolicy,
    artifacts.GrowthPolicyInForce,
    artifacts.MetricReport,
    artifacts.ModelManifest,
    artifacts.OverlappingFrames,
    artifacts.PublishedManifest,
    artifacts.PreviewStructure,
    artifacts.StructurePrediction,
    standard.StandardDataset,
    standard.PublishedStandard,
    signed.SignedReceipt,
    signed.SignedFile,
    signed.SigningKeys,
)


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def generate_grpc(target: Path) -> None:
    """Python stubs and their types, under target/src/contracts."""
    from grpc_tools import protoc  # the compiler is a development tool: services never import it

    out = target / "src"
    out.mkdir(parents=True, exist_ok=True)
    include = Path(protoc.__file__).parent / "_proto"
    files = sorted(str(path.relative_to(PROTO)) for path in PROTO.glob("contracts/*/*/*.proto"))
    # protoc finds its mypy plugins on PATH, and they lie beside the interpreter.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    arguments = ["protoc", f"-I{PROTO}", f"-I{include}"]
    arguments += [f"--{kind}={out}" for kind in ("python_out", "grpc_python_out", "mypy_out", "mypy_grpc_out")]
    if protoc.main([*arguments, *files]) != 0:
        raise SystemExit("protoc failed; its message is above")
    for path in files:
        (out / path).parent.joinpath("__init__.py").touch()
        (out / path).parent.parent.joinpath("__init__.py").touch()


def generate_schemas(target: Path) -> None:
    for event in EVENTS:
        write_json(target / "schemas" / "events" / f"{event.ce_type()}.json", event.model_json_schema())
    for artifact in ARTIFACTS:
        write_json(target / "schemas" / "artifacts" / f"{artifact.__name__}.json", artifact.model_json_schema())


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3.0 of the event stream, drawn from `contracts.topology`."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for event in EVENTS:
        key = event.__name__
        messages[key] = message(event)
        channels[key] = {
            "address": event.nats_subject,
            "messages": {key: {"$ref": f"#/components/messages/{key}"}},
        }
    for service, events in topology.EMITS.items():
        for event in events:
            operations[f"{service}Sends{event.__name__}"] = operation("send", service, event)
    for consumer in topology.CONSUMERS:
        for event in EVENTS:
            if consumer.filter_subject in (event.nats_subject, "potluck.>"):
                operations[f"{consumer.service}Receives{event.__name__}"] = operation(
                    "receive", consumer.service, event
                )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Potluck events",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 in NATS binary mode: attributes are `ce-` headers, the body is JSON.",
            "license": {"name": "LGPL-3.0-or-later"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def message(event: type[Event]) -> dict[str, Any]:
    return {
        "name": event.ce_type(),
        "title": event.__name__,
        "summary": (event.__doc__ or "").strip(),
        "contentType": "application/json",
        "payload": {"$ref": f"./events/{event.ce_type()}.json"},
    }


def operation(action: str, service: str, event: type[Event]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{event.__name__}"},
        "tags": [{"name": service}],
    }


def main(target: Path = PROTO) -> None:
    generate_grpc(target)
    generate_schemas(target)
    write_json(target / "schemas" / "asyncapi.json", asyncapi())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PROTO)
