"""The `potluck` command: one module for each group of commands."""


def main() -> None:
    from potluck.cli.app import run

    run()
