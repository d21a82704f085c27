"""`-p at_once`: a traceback is printed when its test fails, not after the last one: a run that is cut short tells."""

import pytest


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        print(f"\n{report.nodeid}, {report.when}:\n{report.longreprtext}", flush=True)
