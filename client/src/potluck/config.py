"""What is set where. An option of the command goes before the environment, that before `config.toml`, that before the
last login (of the server alone) and what is built in.

What stays on this machine: tokens (mode 0600) and `config.toml` in the config folder, unfinished uploads in the state
folder. `POTLUCK_HOME` puts all in one folder; `POTLUCK_CONFIG` names another file than `config.toml`.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from threading import get_ident
from typing import Any
from urllib.parse import urlsplit

from potluck.errors import LocalFileError, PotluckError

DEFAULT_SERVER = "http://127.0.0.1:8000"
MOST_PARALLEL = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """One account on one server."""

    server: str
    token: str
    email: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `config.toml` and the environment may say.

    `authors`: of uploads; in the environment separated by ';'. `parallel`: connections that a large archive goes by;
    without it four, and one to a server on this machine, where several win nothing.
    """

    server: str | None = None
    licence: str | None = None
    region: str | None = None
    authors: tuple[str, ...] = ()
    folder: Path | None = None
    patience_seconds: float = 120.0
    parallel: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One setting as it holds, and who said so."""

    name: str
    value: object
    source: str


def config_folder() -> Path:
    if home := os.environ.get("POTLUCK_HOME"):
        return Path(home)
    from platformdirs import user_config_path

    return user_config_path("potluck")


def state_folder() -> Path:
    if home := os.environ.get("POTLUCK_HOME"):
        return Path(home) / "state"
    from platformdirs import user_state_path

    return user_state_path("potluck")


def config_file() -> Path:
    named = os.environ.get("POTLUCK_CONFIG")
    return Path(named) if named else config_folder() / "config.toml"


def settings() -> Settings:
    """Of the environment and `config.toml`. Raises LocalFileError, PotluckError for what cannot be understood."""
    return Settings(**{one.name: one.value for one in _told()})  # type: ignore[arg-type]  # each was read as its kind


def told() -> list[Told]:
    """Every setting, the server as it is chosen; for people who wonder."""
    found = _told()
    chosen = next(one for one in found if one.name == "server")
    if chosen.value is None:
        stored = _stored().get("current")
        source = "the last login" if stored else "built in"
        chosen = Told(name="server", value=str(stored or DEFAULT_SERVER), source=source)
    if os.environ.get("POTLUCK_TOKEN"):
        token = Told(name="token", value=True, source="POTLUCK_TOKEN")
    else:
        kept = token_for(str(chosen.value).rstrip("/")) is not None
        token = Told(name="token", value=kept, source=str(_credentials()) if kept else "not signed in")
    return [chosen, *(one for one in found if one.name != "server"), token]


def on_this_machine(server: str) -> bool:
    """Whether nobody else is on the way to it."""
    return urlsplit(server).hostname in ("127.0.0.1", "localhost", "::1")


def chosen_server(option: str | None) -> str:
    """The server of the command line, of the environment, of `config.toml`, of the last login, or the local one.

    Raises PotluckError for what is no address.
    """
    server = str(option or settings().server or _stored().get("current") or DEFAULT_SERVER).rstrip("/")
    if not server.startswith(("http://", "https://")):
        raise PotluckError(
            f"{server!r} is not the address of a platform",
            where="--server or POTLUCK_SERVER",
            remedy=f"Write it as https://{server or 'host'}, or http://{server or 'host'} where it speaks no TLS.",
        )
    return server


def token_for(server: str) -> str | None:
    from_environment = os.environ.get("POTLUCK_TOKEN")
    if from_environment:
        return from_environment
    stored = _stored().get("servers")
    entry = stored.get(server) if isinstance(stored, dict) else None
    return str(entry["token"]) if isinstance(entry, dict) and "token" in entry else None


def remember(sign_in: SignIn) -> Path:
    """Stores the token so that only this user can read it, and makes its server the current one."""
    entry = asdict(sign_in)
    servers = _servers() | {entry.pop("server"): entry}
    return write_private(_credentials(), {"current": sign_in.server, "servers": servers})


def forget(server: str) -> bool:
    """Removes the stored token of that server; False when there was none."""
    servers = _servers()
    if servers.pop(server, None) is None:
        return False
    write_private(_credentials(), {"current": _stored().get("current"), "servers": servers})
    return True


def write_private(path: Path, content: object) -> Path:
    """Writes JSON that only this user can read; a reader sees the old file or the new one, never half of one."""
    draft = path.with_name(f"{path.name}.{os.getpid()}-{get_ident()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
        draft.replace(path)
    except OSError as error:
        raise LocalFileError(
            f"cannot keep what has to be kept: {error.strerror}",
            where=str(path),
            remedy="Make room there, or name another folder: POTLUCK_HOME.",
        ) from error
    return path


def _told() -> list[Told]:
    path, in_file = config_file(), _in_file()
    found = []
    for field in fields(Settings):
        variable = f"POTLUCK_{field.name.upper()}"
        if text := os.environ.get(variable):
            given: object = [part.strip() for part in text.split(";")] if field.name == "authors" else text
            found.append(Told(name=field.name, value=_read(field.name, given, variable), source=variable))
        elif field.name in in_file:
            value = _read(field.name, in_file[field.name], f"{path}, {field.name}")
            found.append(Told(name=field.name, value=value, source=str(path)))
        else:
            found.append(Told(name=field.name, value=field.default, source="built in"))
    return found


_KINDS = {
    "authors": "names: a list in config.toml, separated by ';' in the environment",
    "patience_seconds": "a number of seconds, such as 300",
    "parallel": f"a number from 1 to {MOST_PARALLEL}",
}


def _read(name: str, given: object, where: str) -> object:
    try:
        return _READERS[name](given)
    except (TypeError, ValueError):
        raise PotluckError(
            f"{given!r} is not what belongs there", where=where, remedy=f"Give {_KINDS.get(name, 'text')}."
        ) from None


def _text(given: Any) -> str:
    if not isinstance(given, str) or not given:
        raise TypeError
    return given


def _texts(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list):
        raise TypeError
    return tuple(_text(one) for one in given)


def _seconds(given: Any) -> float:
    seconds = float(given)
    if isinstance(given, bool) or not 0 <= seconds < 1e6:
        raise ValueError
    return seconds


def _connections(given: Any) -> int:
    number = int(given)
    if isinstance(given, bool | float) or not 1 <= number <= MOST_PARALLEL:
        raise ValueError
    return number


_READERS: dict[str, Callable[[Any], object]] = {
    "server": _text,
    "licence": _text,
    "region": _text,
    "authors": _texts,
    "folder": lambda given: Path(_text(given)).expanduser(),
    "patience_seconds": _seconds,
    "parallel": _connections,
}


def _in_file() -> Mapping[str, object]:
    path = config_file()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise LocalFileError(f"the configuration cannot be read: {error}", where=str(path)) from error
    import tomllib

    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LocalFileError(f"this is not TOML: {error}", where=str(path), remedy="Correct that line.") from error
    if unknown := sorted(set(content) - set(_READERS)):
        raise LocalFileError(
            f"there is no setting {unknown[0]!r}", where=str(path), remedy=f"There are: {', '.join(_READERS)}"
        )
    return content


def _credentials() -> Path:
    return config_folder() / "credentials.json"


def _servers() -> dict[str, object]:
    servers = _stored().get("servers")
    return dict(servers) if isinstance(servers, dict) else {}


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
