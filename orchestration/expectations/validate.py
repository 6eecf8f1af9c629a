"""Runs a suite on a table with Great Expectations.

Importing Great Expectations takes two seconds: this module imports it on the first check, and runs send their
tables to a warm child process (`validator`) instead of calling it themselves.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

from orchestration.expectations.report import Failure, Report, plain
from orchestration.expectations.suite import CRITICAL, WINDOW_END, WINDOW_START, Expect, Suite, Window

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SMALL = 2_000
"""So many rows are judged at once."""
SLICE = 250_000
OF_EXTREMES = {"ExpectColumnValuesToBeBetween", "ExpectColumnValuesToNotBeNull"}
"""Who passes the least and the greatest of a column's values passes all that lie between them."""
OF_VALUES = OF_EXTREMES | {"ExpectColumnValuesToBeInSet", "ExpectColumnValuesToNotMatchRegex"}
"""Look at one value at a time, whatever the other rows hold."""
SAMPLE = 5


def check(suite: Suite, frame: "pa.Table | pd.DataFrame", window: Window | None = None) -> Report:
    """Check `frame` against `suite`. `window`: the days [start, end) that were asked for; without it, the
    expectations that need it are left out. Row numbers in the report are positions in `frame`."""
    import pyarrow as pa

    from orchestration.expectations.columns import duplicate_rows

    started = time.monotonic()
    table = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
    failures = _missing_columns(suite, table)
    if not failures:
        prepared = suite.prepare(table) if suite.prepare else table
        expectations = [each for each in suite.expectations if window or not each.needs_window]
        found = [_Found(each) for each in expectations]
        _judge(suite, prepared, [each for each in found if not _is_filled(each.expect, prepared)], window)
        duplicates = duplicate_rows(prepared, suite.grain) if suite.grain else []
        failures = [each.failure(prepared, suite.grain) for each in found if each.failed]
        if duplicates:
            failures.insert(0, _duplicated(suite, prepared, duplicates))
    return Report(suite.name, not failures, table.num_rows, failures, round(time.monotonic() - started, 4))


@cache
def warm_up() -> Any:
    """Import Great Expectations and make the one batch definition that every check reuses."""
    # Great Expectations reads this while it is imported, and would otherwise call home.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    _load_when_used("altair")
    _load_when_used("scipy.stats")
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset("frame")
    return asset.add_batch_definition_whole_dataframe("whole")


def _load_when_used(name: str) -> None:
    """Let importing a module take no time until something of it is asked for. A third of importing Great Expectations
    is statistics and a tenth charts, for expectations that no suite here holds."""
    import sys
    from importlib import import_module
    from importlib.util import find_spec
    from types import ModuleType

    if name in sys.modules or not find_spec(name):
        return
    module = ModuleType(name)

    def load(attribute: str) -> Any:
        # Whoever looks through all modules asks for their files, and shall not load this one.
        if attribute.startswith("__") and attribute != "__path__":
            raise AttributeError(attribute)
        if sys.modules.get(name) is module:
            del sys.modules[name]
        return getattr(import_module(name), attribute)

    # Not `importlib.util.LazyLoader`: `import altair` asks such a module for its spec, which loads it.
    module.__getattr__ = load  # type: ignore[method-assign]
    sys.modules[name] = module
    package, _, rest = name.rpartition(".")
    if package:
        # `from package import name` looks here first; to look among all modules would load it.
        setattr(import_module(package), rest, module)


@contextlib.contextmanager
def _described_once() -> Iterator[None]:
    """Within: what an expectation says as its configuration is written once, not eighty times, which is a quarter of
    judging it. Great Expectations has no setting for that, and its expectations, which it copies itself, cannot be of
    a class of ours; so its property is replaced for one batch, in which no expectation changes."""
    from great_expectations.expectations.expectation import Expectation

    whole = Expectation.configuration
    assert whole.fget
    written = whole.fget
    described: dict[int, tuple[Any, Any]] = {}

    def configuration(self: Any) -> Any:
        if id(self) not in described:
            # With itself: nobody else gets its id as long as it is kept.
            described[id(self)] = self, written(self)
        return described[id(self)][1]

    Expectation.configuration = property(configuration)  # type: ignore[method-assign]
    try:
        yield
    finally:
        Expectation.configuration = whole  # type: ignore[method-assign]


@dataclass
class _Found:
    """What the slices of a table said about one expectation."""

    expect: Expect
    failed: bool = False
    count: int = 0
    rows: list[int] = field(default_factory=list)
    observed: Any = None
    error: str = ""

    def add(self, result: Any, offset: int) -> None:
        self.failed = True
        self.error = self.error or _error_of(result)
        details = result.result or {}
        self.observed = details.get("observed_value")
        self.count += details.get("unexpected_count") or 0
        self.rows += [int(row) + offset for row in details.get("unexpected_index_list") or ()]

    def failure(self, table: "pa.Table", grain: tuple[str, ...]) -> Failure:
        expect = self.expect
        shown = dict.fromkeys((*grain, *(expect.shows or expect.columns)))
        sample = table.select(list(shown)).take(self.rows[:SAMPLE]).to_pylist() if self.rows else []
        why = f"{expect.why} (could not be evaluated: {self.error})" if self.error else expect.why
        return Failure(
            check=expect.check,
            expectation=expect.name,
            column=", ".join(expect.columns),
            why=why,
            severity=expect.severity,
            unexpected_count=self.count,
            row_level=expect.row_level and not self.error,
            rows=self.rows,
            sample=plain(sample),
            observed=plain(self.observed),
        )


def _error_of(result: Any) -> str:
    info = result.exception_info or {}
    if "raised_exception" in info:
        return str(info.get("exception_message") or "unknown error") if info["raised_exception"] else ""
    return "; ".join(str(each.get("exception_message")) for each in info.values() if each.get("raised_exception"))


def _missing_columns(suite: Suite, table: "pa.Table") -> list[Failure]:
    missing = [name for name in suite.columns if name not in table.column_names]
    if not missing:
        return []
    why = f"{suite.name} cannot be checked without {', '.join(missing)}."
    return [Failure("schema", "columns_present", ", ".join(missing), why, CRITICAL, len(missing), row_level=False)]


def _is_filled(expect: Expect, table: "pa.Table") -> bool:
    """Whether Arrow, which counts its NULLs, already says that the column has none: a third of all expectations, and
    Great Expectations takes four milliseconds for each. NaN is for it to judge."""
    import pyarrow as pa

    if expect.name != "ExpectColumnValuesToNotBeNull":
        return False
    column = table[expect.kwargs["column"]]
    return not column.null_count and not pa.types.is_floating(column.type)


def _duplicated(suite: Suite, table: "pa.Table", rows: list[int]) -> Failure:
    keys = list(suite.grain)
    return Failure(
        check="grain",
        expectation="grain_is_unique",
        column=", ".join(keys),
        why=suite.title,
        severity=CRITICAL,
        unexpected_count=len(rows),
        rows=rows,
        sample=plain(table.select(keys).take(rows[:SAMPLE]).to_pylist()),
    )


def _judge(suite: Suite, table: "pa.Table", found: list[_Found], window: Window | None) -> None:
    """Let Great Expectations judge the table, in one go where it is small. Of a large one it judges the values that
    occur, each once, and the rows, by slices, only where one of those failed.

    What is said of a whole table (its number of rows) is judged apart, on the whole of it."""
    if table.num_rows <= SMALL:
        _run(suite, table, 0, found, window)
        return
    if whole := [each for each in found if not each.expect.row_level]:
        _run(suite, table.select([suite.columns[0]]), 0, whole, window)
    by_row = [each for each in found if each.expect.row_level]
    by_value = [each for each in by_row if each.expect.name in OF_VALUES]
    failing = [each for each in by_row if each.expect.name not in OF_VALUES]
    failing += _failing(suite, _occurring(table, by_value), by_value, window)
    for offset in range(0, table.num_rows if failing else 0, SLICE):
        _run(suite, table.slice(offset, SLICE), offset, failing, window)


def _occurring(table: "pa.Table", found: list[_Found]) -> "pa.Table":
    """The values that decide whether all rows pass, for expectations that look at one value at a time: of numbers that
    are compared with bounds the least and the greatest, else each value once, and NULL (to pandas, NaN) where there
    is one. Shorter columns are filled up with their first value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def values(name: str) -> "pa.Array":
        column, kind = table[name], table[name].type
        asked = {each.expect.name for each in found if name in each.expect.columns}
        if not asked <= OF_EXTREMES or not (pa.types.is_primitive(kind) or pa.types.is_decimal(kind)):
            return column.unique()
        extremes = pc.min_max(column)
        lacking = column.null_count or (pa.types.is_floating(kind) and pc.any(pc.is_nan(column)).as_py())
        return pa.array([extremes["min"], extremes["max"], *([None] if lacking else [])], kind)

    columns = {name: values(name) for name in dict.fromkeys(name for each in found for name in each.expect.columns)}
    longest = max((len(column) for column in columns.values()), default=0)
    return pa.table(
        {
            name: pa.concat_arrays([column, pa.repeat(column[0], longest - len(column))])
            for name, column in columns.items()
        }
    )


def _run(suite: Suite, table: "pa.Table", offset: int, found: list[_Found], window: Window | None) -> None:
    # Naming the failing rows doubles the cost, so only what failed is asked again.
    failing = _failing(suite, table, found, window)
    for position, result in _results(suite, table, failing, "COMPLETE", window):
        failing[position].add(result, offset)


def _failing(suite: Suite, table: "pa.Table", found: list[_Found], window: Window | None) -> list[_Found]:
    verdicts = _results(suite, table, found, "BOOLEAN_ONLY", window)
    return [found[position] for position, result in verdicts if not result.success]


def _results(
    suite: Suite, table: "pa.Table", found: list[_Found], detail: str, window: Window | None
) -> Iterator[tuple[int, Any]]:
    """What is said of each of `found`, by its position."""
    if not found:
        return
    import great_expectations as gx

    batch = warm_up().get_batch(batch_parameters={"dataframe": _to_frame(table, found)})
    expectations = [_to_gx(each.expect, position, window) for position, each in enumerate(found)]
    with _described_once():
        result = batch.validate(
            gx.ExpectationSuite(name=suite.name, expectations=expectations),
            result_format={"result_format": detail, "include_unexpected_rows": False, "partial_unexpected_count": 0},
        )
    for each in result.results:
        yield each.expectation_config.meta["position"], each


def _to_gx(expect: Expect, position: int, window: Window | None) -> Any:
    import great_expectations.expectations as gxe

    limits: dict[str, date] = dict(zip((WINDOW_START, WINDOW_END), window, strict=True)) if window else {}
    kwargs = {}
    for name, value in expect.kwargs.items():
        value = limits.get(value, value) if isinstance(value, str) else value
        kwargs[name] = _day_number(value) if isinstance(value, date) else value
    return getattr(gxe, expect.name)(
        **kwargs, notes=expect.why, severity=expect.severity, meta={"position": position, "check": expect.check}
    )


def _to_frame(table: "pa.Table", found: list[_Found]) -> "pd.DataFrame":
    """The columns that Great Expectations looks at. Decimals become float64 here and nowhere else."""
    import pyarrow as pa
    import pyarrow.compute as pc

    names = dict.fromkeys(name for each in found for name in each.expect.columns) or {table.column_names[0]: None}
    chosen = {}
    for name in names:
        column = table[name]
        if pa.types.is_decimal(column.type):
            column = pc.cast(column, pa.float64())
        elif pa.types.is_temporal(column.type):
            column = pc.cast(pc.cast(pc.cast(column, pa.date32()), pa.int32()), pa.int64())
        chosen[name] = column
    return pa.table(chosen).to_pandas()


def _day_number(day: date) -> int:
    """Days since 1970-01-01, as Arrow stores them: Great Expectations compares dates row by row, numbers at once."""
    return day.toordinal() - date(1970, 1, 1).toordinal()
