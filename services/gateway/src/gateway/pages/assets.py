"""What `tools/build.mjs` made: files with hashed names, served compressed and cached for ever."""

import json
from pathlib import Path
from typing import Any

from markupsafe import Markup
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC = Path(__file__).parent.parent / "static"
# What `make docs` wrote.
DOCUMENTATION = Path(__file__).parent.parent / "documentation"
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


class Assets:
    """Names in templates → hashed files, and the icons. Raises FileNotFoundError with what to run."""

    def __init__(self, folder: Path = STATIC) -> None:
        manifest = folder / "manifest.json"
        if not manifest.is_file():
            raise FileNotFoundError(f"{manifest} is missing: run `make build`")
        content = json.loads(manifest.read_text())
        self._files: dict[str, dict[str, Any]] = content["files"]
        # Made once: a list shows a hundred of them.
        self._icons = {name: _svg(body) for name, body in content["icons"].items()}

    def url(self, name: str) -> str:
        return f"/static/{self._files[name]['file']}"

    def script(self, name: str) -> Markup:
        """The tags of a script: its style sheet, what it imports, itself."""
        entry = self._files[name]
        tags = [Markup('<script type="module" src="/static/{}"></script>').format(entry["file"])]
        tags += [Markup('<link rel="modulepreload" href="/static/{}">').format(file) for file in entry["imports"]]
        if entry["css"]:
            tags.insert(0, Markup('<link rel="stylesheet" href="/static/{}">').format(entry["css"]))
        return Markup("").join(tags)

    def icon(self, name: str) -> Markup:
        return self._icons[name]


def _svg(body: str) -> Markup:
    """Of the icon package, chosen at build time."""
    return Markup(f'<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">{body}</svg>')  # noqa: S704


class StaticAssets(StaticFiles):
    """Prefers FILE.br, then FILE.gz, where the client takes it; a name's content never changes."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        accepted = _codings(Headers(scope=scope).get("accept-encoding", ""))
        for suffix, coding in ((".br", "br"), (".gz", "gzip")):
            if coding in accepted and self.lookup_path(path + suffix)[1] is not None:
                response = await super().get_response(path + suffix, scope)
                response.headers["content-encoding"] = coding
                break
        else:
            response = await super().get_response(path, scope)
        kind = _TYPES.get(Path(path).suffix)
        if kind is not None:
            response.headers["content-type"] = kind
        response.headers["vary"] = "accept-encoding"
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


def _codings(accept_encoding: str) -> set[str]:
    """Content codings that a client takes; those with q=0 it does not."""
    accepted = set()
    for part in accept_encoding.split(","):
        coding, _, parameters = part.partition(";")
        if parameters.replace(" ", "") not in ("q=0", "q=0.0"):
            accepted.add(coding.strip().lower())
    return accepted
