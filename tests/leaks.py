"""A part of every test run: no key may stand in a log of it, or in what it printed.

Every secret of a test begins with `tlk_`, as a real key does, or has `sesame` in it, so that one
pattern finds them all, also in what another process has written.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SECRET = re.compile(r"tlk_\w+|sesame")


class Leaks:
    """Collects what tests print, and reads their logs when all have run."""

    def __init__(self) -> None:
        self._found: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # What failed shows its own values, which is for who mends it.
        if report.passed:
            for name, text in report.sections:
                self._note(text, f"{name} of {report.nodeid}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        folder: Path = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        for path in sorted(folder.rglob("*.log*")):
            if path.is_file():
                self._note(path.read_text(encoding="utf-8", errors="replace"), str(path))
        if self._found and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._found:
            terminalreporter.section("Secrets that leaked", red=True)
            for place in self._found:
                terminalreporter.line(place)

    def _note(self, text: str, where: str) -> None:
        self._found += [f"{secret} in {where}" for secret in sorted(set(SECRET.findall(text)))]


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # the processes of a run report to the one that began
        config.pluginmanager.register(Leaks())
