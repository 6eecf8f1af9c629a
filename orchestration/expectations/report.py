"""What a check found, as plain data that travels through JSON."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from orchestration.expectations.suite import CRITICAL


def plain(value: Any) -> Any:
    """`value` as JSON can hold it: decimals and days as text, NaN and Infinity as text."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return plain(value.item()) if hasattr(value, "item") else str(value)


@dataclass(frozen=True)
class Failure:
    """One expectation that did not hold. `rows`: positions of the failing rows in the table, all of them;
    empty for an expectation on the whole table. `sample`: what the first failing rows hold."""

    check: str
    expectation: str
    column: str
    why: str
    severity: str
    unexpected_count: int
    row_level: bool = True
    rows: list[int] = field(default_factory=list, repr=False)
    sample: list[dict[str, Any]] = field(default_factory=list)
    observed: Any = None

    @property
    def message(self) -> str:
        """One line: what failed, how often, why it matters, the first case."""
        what = f"{self.check} {self.column}".strip() or self.expectation
        count = f"{self.unexpected_count:,} row{'s' if self.unexpected_count != 1 else ''}: " if self.row_level else ""
        seen = f" (found {self.observed})" if self.observed is not None else ""
        case = ", ".join(f"{name}={value}" for name, value in self.sample[0].items()) if self.sample else ""
        return f"{what}: {count}{self.why}{seen}{f' E.g. {case}' if case else ''}"


@dataclass(frozen=True)
class Report:
    """The outcome of one suite on one table. `passed`: nothing failed, warnings included."""

    suite: str
    passed: bool
    row_count: int
    failures: list[Failure]
    seconds: float

    @property
    def blocking(self) -> bool:
        """Whether anything critical failed."""
        return any(failure.severity == CRITICAL for failure in self.failures)

    @property
    def refuses_window(self) -> bool:
        """Whether something critical failed that no row can be blamed for."""
        return any(failure.severity == CRITICAL and not failure.row_level for failure in self.failures)

    @property
    def refused_rows(self) -> dict[int, str]:
        """Rows for the quarantine with the reason, all reasons of a row in one text."""
        reasons: dict[int, list[str]] = {}
        for failure in self.failures:
            if failure.severity == CRITICAL and failure.row_level:
                reason = f"{failure.check} {failure.column}: {failure.why}".strip()
                for row in failure.rows:
                    reasons.setdefault(row, []).append(reason)
        return {row: "; ".join(reasons[row]) for row in sorted(reasons)}

    @property
    def message(self) -> str:
        if self.passed:
            return f"{self.suite}: {self.row_count:,} rows, all expectations hold"
        return "\n".join([f"{self.suite}: {self.row_count:,} rows", *(f"  {each.message}" for each in self.failures)])

    @property
    def failing_rows(self) -> str:
        """The first failing rows of each failure as tables in Markdown; empty where no row is to blame."""
        return "\n\n".join(
            f"**{_cell(f'{each.check} {each.column}'.strip())}**: {_cell(each.why)}\n\n{_table(each.sample)}"
            for each in self.failures
            if each.sample
        )

    def to_dict(self) -> dict[str, Any]:
        return plain(asdict(self))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Report":
        failures = [Failure(**failure) for failure in data["failures"]]
        return cls(data["suite"], data["passed"], data["row_count"], failures, data["seconds"])


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names), *([row.get(name) for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(_cell(value) for value in line)} |" for line in lines)


def _cell(value: Any) -> str:
    """Names come from upstreams: what Markdown or HTML would read in them is text."""
    text = "" if value is None else " ".join(str(value).split())
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;"))


SAMPLED = 5


def joined(reports: Sequence[Report]) -> Report:
    """One report on tables that were checked one after the other by the same suite: positions count on."""
    if len(reports) == 1:
        return reports[0]
    failures: dict[tuple, Failure] = {}
    offset = 0
    for report in reports:
        for each in report.failures:
            key = (each.check, each.expectation, each.column, each.severity, each.row_level)
            before = failures.get(key)
            failures[key] = replace(
                before or each,
                unexpected_count=each.unexpected_count + (before.unexpected_count if before else 0),
                rows=[*(before.rows if before else ()), *(offset + row for row in each.rows)],
                sample=[*(before.sample if before else ()), *each.sample][:SAMPLED],
            )
        offset += report.row_count
    passed, seconds = all(report.passed for report in reports), sum(report.seconds for report in reports)
    return Report(reports[0].suite, passed, offset, list(failures.values()), seconds)
