"""The number of examples of each test, after a fuzzing run."""

import os

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a line per test."""
    if "POINTSPIDER_FUZZ_SECONDS" in os.environ:
        terminalreporter.section("examples")
        for outcome in ("passed", "failed"):
            for report in terminalreporter.getreports(outcome):
                count = sum(value for name, value in report.user_properties if name == "examples")
                terminalreporter.write_line(f"{count:>9,} {outcome} {report.nodeid.partition('::')[2]}")
