"""What mkdocs cannot do by itself: the navigation, the notebook as a page, references made from the code."""

import inspect
import json
from pathlib import Path
from typing import Any

from gateway.settings import GatewaySettings
from ingest.settings import IngestSettings
from kit.settings import ServiceSettings
from metric.settings import MetricSettings
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from potluck.client import Client
from pydantic_core import PydanticUndefined
from registry.settings import RegistrySettings
from trainer.settings import TrainerSettings

SETTINGS: tuple[type[ServiceSettings], ...] = (
    GatewaySettings,
    IngestSettings,
    MetricSettings,
    RegistrySettings,
    TrainerSettings,
)
NOTEBOOK = "tutorial.ipynb"
# Title → page; those that are generated below are not in docs/. A guide that is not written yet is left out.
NAVIGATION: dict[str, Any] = {
    "Overview": "index.md",
    "For contributors": {
        "Contribute a dataset": "contribute.md",
        "What verdicts mean": "verdicts.md",
        "Receipts": "receipts.md",
    },
    "For those who use the models": {
        "From download to fine-tuning": "use.md",
        "Python and command line": "sdk.md",
        "Reference of the Python client": "client-reference.md",
    },
    "For other platforms": {"Events": "subscribers.md", "Registry (gRPC)": "registry.md"},
    "For operators": {"Run it": "operate.md", "Settings": "settings.md", "How models grow": "growth.md"},
    "Background": {"Glossary": "glossary.md", "Measurements": "benchmarks.md"},
}
GENERATED = ("use.md", "client-reference.md", "settings.md")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    docs = Path(config.docs_dir)
    found = _existing(NAVIGATION, docs)
    decisions = [f"decisions/{path.name}" for path in sorted((docs / "decisions").glob("0*.md"))]
    config.nav = [*found, {"Decisions": ["decisions/README.md", *decisions]}]
    return config


def _existing(section: dict[str, Any], docs: Path) -> list[dict[str, Any]]:
    found = []
    for title, target in section.items():
        if isinstance(target, dict):
            found.append({title: _existing(target, docs)})
        elif target in GENERATED or (docs / target).is_file():
            found.append({title: target})
    return found


def on_files(files: Files, config: MkDocsConfig) -> Files:
    pages = {"use.md": notebook(Path(config.docs_dir) / NOTEBOOK), "client-reference.md": client_reference()}
    pages["settings.md"] = settings_reference()
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def notebook(path: Path) -> str:
    """Its cells as Markdown, with where to get it."""
    cells = json.loads(path.read_text())["cells"]
    texts = [("".join(cell["source"]), cell["cell_type"]) for cell in cells]
    parts = [text if kind == "markdown" else f"```python\n{text}\n```" for text, kind in texts]
    data = " and ".join(f"[{one.name}](data/{one.name})" for one in sorted(path.parent.glob("data/*.extxyz")))
    fetch = f"This page is the notebook [{NOTEBOOK}]({NOTEBOOK}); its data are {data}."
    return "\n\n".join([parts[0], fetch, *parts[1:]]) + "\n"


def client_reference() -> str:
    """Public methods of `potluck.Client` with their docstrings."""
    lines = ["# Reference of the Python client", "", inspect.getdoc(Client) or ""]
    for name, member in inspect.getmembers(Client, inspect.isfunction):
        if name.startswith("_"):
            continue
        lines += ["", f"## {name}", "", "```python", f"{name}{inspect.signature(member)}", "```"]
        lines += ["", inspect.getdoc(member) or ""]
    return "\n".join(lines) + "\n"


def settings_reference() -> str:
    """Every setting of every service, as its environment variable."""
    lines = ["# Settings", "", "Each service reads its own from the environment."]
    for settings in SETTINGS:
        prefix = str(settings.model_config.get("env_prefix", ""))
        title = prefix.removeprefix("POTLUCK_").strip("_").lower()
        lines += ["", f"## {title}", "", "| variable | default | what it is |", "|---|---|---|"]
        for name, field in settings.model_fields.items():
            default = "" if field.default in (None, PydanticUndefined) else _cell(str(field.default))
            # A folder of this machine or a secret is nobody's default.
            shown = f"`{default}`" if default and "SecretStr" not in repr(field.default) else ""
            lines.append(f"| `{prefix}{name.upper()}` | {shown} | {_cell(field.description or '')} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
