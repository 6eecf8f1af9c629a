"""Days of Binance's USD-M archive, from rows of minutes and seconds: metrics summed up, depth reduced to medians.

What is wrong with a file's row is said and the row left out; the others make the day.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from orchestration.records import PERPETUAL_DEPTH, PERPETUAL_METRICS
from orchestration.sources.binance_vision import unpacked
from orchestration.sources.body import Body, Parsed, Refused, SourceError
from orchestration.sources.exact import amounts

TIME = "%Y-%m-%d %H:%M:%S"
DAY_US = 86_400_000_000
OPEN_INTEREST = ("open_interest_base", "open_interest_quote")
RATIOS = (
    "mean_top_account_long_short_ratio",
    "mean_top_position_long_short_ratio",
    "mean_account_long_short_ratio",
    "mean_taker_buy_sell_ratio",
)
METRICS = ("create_time", "symbol", *OPEN_INTEREST, *RATIOS)
"""The columns of a file of metrics, by the names of what is made of them."""
DEPTH = ("timestamp", "percentage", "depth", "notional")
SIDES = {"bid": -1, "ask": 1}
BANDS = {
    f"{side}_within_{percent}_percent_quote": sign * percent for percent in (1, 2, 5) for side, sign in SIDES.items()
}
"""Percent below (negative: bids) or above the price. Files have more bands; 0.20 only those of late."""
WRITTEN = ("utc_date", "snapshot_count", *BANDS)
MOST_METRICS, MOST_DEPTH = 5_000, 200_000
"""rows of a file; a day has 289 of metrics and some 35,000 of looks at the book"""
MOST_BAD = 10_000
"""a file with more rows that cannot be used is not taken"""
KEPT = 20
"""refused rows whose text is kept"""


def parse_metrics(*bodies: Body) -> Parsed:
    """Rows of records.PERPETUAL_METRICS from zips as received, a day each. Ratios that are not told ("") are left out
    of their mean. A row of the midnight that ends the day is its last.

    Raises SourceError where a zip or its CSV is something else."""
    files = [_read(body, unpacked(body), METRICS, MOST_METRICS) for body in bodies]
    rows = pa.concat_tables(
        [file.append_column("of", pa.array([at] * file.num_rows, pa.int32())) for at, file in enumerate(files)]
    )
    rows = _unrepeated(rows).sort_by([("of", "ascending"), ("create_time", "ascending")])
    of = rows["of"].to_numpy()
    midnights = np.array([body.context["start"] for body in bodies], "datetime64[us]")[of]
    moments, reasons = _placed(rows["create_time"], midnights, last=DAY_US)
    asked = np.array([body.context["symbol"] for body in bodies], object)[of]
    for at in np.flatnonzero(rows["symbol"].to_numpy() != asked):
        reasons[int(at)] = f"is of {rows['symbol'][int(at)].as_py()[:50]!r}"
    exact = {name: amounts(_told(rows[name])) for name in (*OPEN_INTEREST, *RATIOS)}
    for name, amount in exact.items():
        reasons |= {at: f"{name} {why}" for at, why in amount.bad.items()}
    for at in np.flatnonzero((of[1:] == of[:-1]) & (moments[1:] == moments[:-1])):
        reasons |= {int(at) + step: "another row says something else of this moment" for step in (0, 1)}
    _bearable(bodies[0], reasons)
    refused = []
    for at, why in sorted(reasons.items()):
        body = bodies[of[at]]
        text = ",".join(str(cell) for cell in list(rows.slice(at, 1).to_pylist()[0].values())[: len(METRICS)])
        refused.append(_refused(PERPETUAL_METRICS.table, body, text, why, date.fromisoformat(body.context["start"])))
    kept = np.ones(len(of), bool)
    kept[list(reasons)] = False
    days = [_day(np.flatnonzero(kept & (of == at)), exact, moments, body) for at, body in enumerate(bodies)]
    table = pa.Table.from_pylist([day for day in days if day], schema=PERPETUAL_METRICS.schema)
    return Parsed({PERPETUAL_METRICS.table: table}, sum(exact[name].rounded_count for name in OPEN_INTEREST), refused)


def _day(rows: np.ndarray, exact: Mapping, moments: np.ndarray, body: Body) -> dict | None:
    """One row of PERPETUAL_METRICS from rows in the order of time; None where there are none."""
    if not len(rows):
        return None
    telling = rows[exact[OPEN_INTEREST[0]].values.take(pa.array(rows)).is_valid().to_numpy(zero_copy_only=False)]
    last = int((telling if len(telling) else rows)[-1])
    means = {}
    for name in RATIOS:
        told = exact[name].values.take(pa.array(rows)).drop_null()
        means[name] = float(pc.sum(told).as_py() / len(told)) if len(told) else None
    return {
        "exchange": body.upstream,
        "symbol": body.context["symbol"],
        "utc_date": date.fromisoformat(body.context["start"]),
        **{name: exact[name].values[last].as_py() for name in OPEN_INTEREST},
        "last_row_at": moments[last].item(),
        **means,
        "row_count": len(rows),
        "body_sha256": body.sha256,
    }


@dataclass
class DayDepth:
    """Medians of one file, as plain decimal text; None where no look at the book tells the band."""

    day: date
    snapshot_count: int
    medians: dict[str, str | None]
    refused: list[tuple[str, str]] = field(default_factory=list)
    """text of a row and why it was left out"""


def day_depth(body: Body) -> DayDepth:
    """The medians of a zip as received. Raises SourceError where it or its CSV is something else."""
    day = date.fromisoformat(body.context["start"])
    rows = _unrepeated(_read(body, unpacked(body), DEPTH, MOST_DEPTH)).sort_by([(name, "ascending") for name in DEPTH])
    moments, reasons = _placed(rows["timestamp"], np.datetime64(day, "us"), last=DAY_US - 1)
    bands = {text: _percent(text) for text in pc.unique(rows["percentage"]).to_pylist()}
    bad = [text for text, percent in bands.items() if not percent]
    for at in pc.indices_nonzero(pc.is_in(rows["percentage"], pa.array(bad, pa.string()))).to_pylist():
        reasons[at] = "percentage is no share below or above the price"
    notional = amounts(_told(rows["notional"]))
    reasons |= {at: f"notional {why}" for at, why in notional.bad.items()}
    for at in np.flatnonzero(notional.values.is_null()):
        reasons.setdefault(int(at), "notional is missing")
    percents = np.array([bands[text] or 0 for text in rows["percentage"].to_pylist()])
    same = (moments[1:] == moments[:-1]) & (percents[1:] == percents[:-1])
    for at in np.flatnonzero(same):
        reasons |= {int(at) + step: "another row says something else of this band and moment" for step in (0, 1)}
    _bearable(body, reasons)
    kept = np.ones(len(moments), bool)
    kept[list(reasons)] = False
    medians = {
        name: _median(notional.values.filter(pa.array(kept & (percents == percent)))) for name, percent in BANDS.items()
    }
    text = [",".join(row.values()) for row in rows.take(pa.array(sorted(reasons), pa.int64())).to_pylist()]
    refused = list(zip(text, (why for _, why in sorted(reasons.items())), strict=True))
    return DayDepth(day, len(np.unique(moments[kept])), medians, refused)


def written(days: Sequence[DayDepth]) -> bytes:
    """The content of the body that stands for the files of these days."""
    refused = [[text, why, day.day.isoformat()] for day in days for text, why in day.refused]
    content = {
        "kind": "depth",
        "columns": WRITTEN,
        "rows": [
            [day.day.isoformat(), day.snapshot_count, *(day.medians[name] for name in BANDS)]
            for day in days
            if day.snapshot_count
        ],
        "refused_count": len(refused),
        "refused": refused[:KEPT],
    }
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def parse_depth(*bodies: Body) -> Parsed:
    """Rows of records.PERPETUAL_DEPTH from bodies that `written` made. Raises SourceError for any other."""
    rows: list[list] = []
    cited: list[Body] = []
    refused: list[Refused] = []
    for body in bodies:
        try:
            content = body.data
            if content["kind"] != "depth" or tuple(content["columns"]) != WRITTEN:
                raise ValueError(f"{content['kind']} with columns {content['columns']}")
            rows += content["rows"]
            cited += [body] * len(content["rows"])
            for text, why, day in content["refused"]:
                if not isinstance(text, str) or not isinstance(why, str):
                    raise TypeError(f"a refused row is {str(text)[:50]}")
                refused.append(_refused(PERPETUAL_DEPTH.table, body, text, why, date.fromisoformat(day)))
            more = content["refused_count"] - len(content["refused"])
            if more > 0:
                why = f"{more} more rows were left out; only the first are kept with their text"
                day = date.fromisoformat(content["refused"][-1][2])
                refused.append(_refused(PERPETUAL_DEPTH.table, body, "", why, day))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise SourceError(f"{body.url}: no medians of depth ({str(error)[:120]})", content=body.content) from None
    try:
        days, counts, *texts = zip(*rows, strict=True) if rows else [()] * len(WRITTEN)
        exact = {name: amounts(pa.array(cells, pa.string())) for name, cells in zip(BANDS, texts, strict=True)}
        columns = {
            "exchange": [body.upstream for body in cited],
            "symbol": [body.context["symbol"] for body in cited],
            "utc_date": [date.fromisoformat(day) for day in days],
            **{name: amount.values for name, amount in exact.items()},
            "snapshot_count": counts,
            "body_sha256": [body.sha256 for body in cited],
        }
        table = pa.table(columns, schema=PERPETUAL_DEPTH.schema)
        if any(amount.bad for amount in exact.values()) or None in counts:
            raise ValueError("a median that is no amount, or a day without its count")
    except (TypeError, ValueError, OverflowError, pa.ArrowException) as error:
        raise SourceError(f"{bodies[0].url}: no medians of depth ({str(error)[:120]})") from None
    return Parsed({PERPETUAL_DEPTH.table: table}, 0, refused)


def _read(body: Body, content: bytes, names: Sequence[str], most_rows: int) -> pa.Table:
    """The cells of a CSV as text, with a header (a first cell without a digit) or without."""
    head, _, rest = content.partition(b"\n")
    if not re.search(rb"\d", head.partition(b",")[0]):
        content = rest
    if not content.strip():
        return pa.table({name: pa.array([], pa.string()) for name in names})
    try:
        rows = csv.read_csv(
            pa.py_buffer(content),
            csv.ReadOptions(column_names=list(names), use_threads=False, block_size=len(content) + 1),
            csv.ParseOptions(quote_char=False, newlines_in_values=False),
            csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), null_values=[], strings_can_be_null=False
            ),
        )
    except pa.ArrowException as error:
        raise SourceError(f"{body.url}: not rows of {', '.join(names)} ({str(error)[:120]})") from None
    if rows.num_rows > most_rows:
        raise SourceError(f"{body.url}: {rows.num_rows} rows, which is no file of a day", content=body.content)
    return rows


def _unrepeated(rows: pa.Table) -> pa.Table:
    """The rows without those that repeat another to the letter, in no order."""
    return rows.group_by(rows.column_names, use_threads=False).aggregate([]).select(rows.column_names)


def _told(cells: pa.ChunkedArray) -> pa.Array:
    """NULL where nothing is written."""
    whole = cells.combine_chunks()
    return pc.if_else(pc.equal(whole, ""), None, whole)


def _placed(
    texts: pa.ChunkedArray, midnight: np.ndarray | np.datetime64, last: int
) -> tuple[np.ndarray, dict[int, str]]:
    """Moments of rows, and those that are none or lie before `midnight` or more than `last` microseconds after it."""
    moments = pc.strptime(texts, format=TIME, unit="us", error_is_null=True).to_numpy()
    since = (moments - midnight).astype(np.int64)
    reasons = {int(at): "is outside of its file's day" for at in np.flatnonzero((since < 0) | (since > last))}
    reasons |= {int(at): "has no time that can be read" for at in np.flatnonzero(np.isnat(moments))}
    return moments, reasons


def _bearable(body: Body, reasons: Mapping[int, str]) -> None:
    """Raises SourceError where so many rows cannot be used that the file is something else."""
    if len(reasons) > MOST_BAD:
        why = next(iter(reasons.values()))
        raise SourceError(f"{body.url}: {len(reasons)} rows that cannot be used, e.g. one {why}", content=body.content)


def _percent(text: str) -> float:
    """Of `-5.00` or `1`; 0 for what is none."""
    return float(text) if re.fullmatch(r"-?\d{1,2}(\.\d{1,4})?", text) else 0.0


def _median(values: pa.Array) -> str | None:
    """The middle one, or the mean of the two in the middle, to 12 decimals; None of none."""
    if not len(values):
        return None
    ordered = values.take(pc.array_sort_indices(values))
    low, high = ordered[(len(values) - 1) // 2].as_py(), ordered[len(values) // 2].as_py()
    with localcontext() as context:
        context.prec = 50
        return f"{((low + high) / 2).quantize(Decimal('1e-12'), ROUND_HALF_EVEN).normalize():f}"


def _refused(table: str, body: Body, text: str, why: str, day: date) -> Refused:
    return Refused(table, f"{body.upstream} {body.context['symbol']} {day}", why, text, body.sha256, day)
