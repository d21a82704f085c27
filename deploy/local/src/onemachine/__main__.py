"""`python -m onemachine up|status|down|operate|people|subscribers|demo`."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from onemachine import commands
from onemachine.errors import CannotStart
from onemachine.settings import OneMachineSettings


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m onemachine", description="The whole platform on one machine.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="start everything and stay in the foreground")
    status = verbs.add_parser("status", help="tell what runs")
    down = verbs.add_parser("down", help="stop what `up` started, and wait for it")
    demo = verbs.add_parser("demo", help="run the main job from a fresh state, through the public API")
    operate = verbs.add_parser("operate", help="steer growth; `python -m registry --help` lists the commands")
    people = verbs.add_parser("people", help="help people in; `python -m gateway --help` lists the commands")
    subscribers = verbs.add_parser("subscribers", help="outsiders who hear public events: list, add, revoke")
    for verb in (up, status, down, operate, people, subscribers, demo):
        verb.add_argument("--state", type=Path, help="state folder (default .potluck)")
    people.add_argument("command", nargs=argparse.REMAINDER, help="of `python -m gateway`")
    subscribers.add_argument("command", nargs=argparse.REMAINDER, help="list, add <name> [NKey], revoke <name>")
    operate.add_argument("command", nargs=argparse.REMAINDER, help="of `python -m registry` (default: status)")
    up.add_argument("--host", help="where the site listens (default 127.0.0.1)")
    up.add_argument("--port", type=int, help="port of the site (default 8000)")
    up.add_argument("--free-ports", action="store_true", default=None, help="find a free port for the site")
    up.add_argument("--regions", nargs="+", help="titles of storage regions, the site's own first (default: one)")
    up.add_argument("--trainers", type=int, help="how many trainers run (default 1)")
    demo.add_argument("--exit", action="store_true", help="stop at the end; exit 0 only if everything came true")
    demo.add_argument("--timeout", type=float, help="give up after so many seconds (default 1200)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 well, 2 wrong arguments, and see `errors` and `commands`."""
    given = {name: value for name, value in vars(_arguments().parse_args(arguments)).items() if value is not None}
    verb = given.pop("verb")
    if verb == "demo":
        return demo(given)
    command = [word for word in given.pop("command", []) if word != "--"]
    try:
        settings = OneMachineSettings(**given)
        if verb == "up":
            return commands.up(settings)
        if verb == "operate":
            return commands.operate(settings.state, command)
        if verb == "people":
            return commands.people(settings, command)
        if verb == "subscribers":
            return commands.subscribers(settings, command)
        return commands.status(settings.state) if verb == "status" else commands.down(settings.state)
    except ValidationError as error:
        for problem in error.errors():
            print(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}", file=sys.stderr)
        return 2
    except CannotStart as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def demo(given: Mapping[str, Any]) -> int:
    # The other verbs need neither the client nor rich.
    from onemachine.demo.program import DemoSettings, run_demo

    names = {"exit": "exit_when_done", "timeout": "timeout_seconds"}
    return run_demo(DemoSettings(**{names.get(name, name): value for name, value in given.items()}))


if __name__ == "__main__":
    sys.exit(main())
