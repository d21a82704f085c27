"""What stays on this machine: tokens (mode 0600) in the config folder, unfinished uploads in the state folder.

`POTLUCK_HOME` puts both in one folder; `POTLUCK_SERVER` and `POTLUCK_TOKEN` go before what is stored.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from platformdirs import user_config_path, user_state_path

from potluck.errors import LocalFileError

DEFAULT_SERVER = "http://127.0.0.1:8000"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """One account on one server."""

    server: str
    token: str
    email: str = ""


def config_folder() -> Path:
    home = os.environ.get("POTLUCK_HOME")
    return Path(home) if home else user_config_path("potluck")


def state_folder() -> Path:
    home = os.environ.get("POTLUCK_HOME")
    return Path(home) / "state" if home else user_state_path("potluck")


def chosen_server(option: str | None) -> str:
    """The server of the command line, of the environment, of the last login, or the local one."""
    server = option or os.environ.get("POTLUCK_SERVER") or _stored().get("current") or DEFAULT_SERVER
    return str(server).rstrip("/")


def token_for(server: str) -> str | None:
    from_environment = os.environ.get("POTLUCK_TOKEN")
    if from_environment:
        return from_environment
    stored = _stored().get("servers")
    entry = stored.get(server) if isinstance(stored, dict) else None
    return str(entry["token"]) if isinstance(entry, dict) and "token" in entry else None


def remember(sign_in: SignIn) -> Path:
    """Stores the token so that only this user can read it, and makes its server the current one."""
    stored = _stored()
    servers = stored.get("servers")
    servers = dict(servers) if isinstance(servers, dict) else {}
    entry = asdict(sign_in)
    servers[entry.pop("server")] = entry
    return write_private(_credentials(), {"current": sign_in.server, "servers": servers})


def write_private(path: Path, content: object) -> Path:
    """Writes JSON that only this user can read; a reader sees the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
    draft.replace(path)
    return path


def _credentials() -> Path:
    return config_folder() / "credentials.json"


def _stored() -> dict[str, object]:
    path = _credentials()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise LocalFileError(
            f"the stored sign-in cannot be read: {error}",
            where=str(path),
            remedy="Delete that file and sign in again: potluck login",
        ) from error
    return content if isinstance(content, dict) else {}
