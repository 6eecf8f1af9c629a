"""Binance's archive of USD-M futures: days of metrics and depth by hand, any bytes, and which files are asked for."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.sandbox.bucket import Bucket, File
from orchestration.sandbox.wire import Request
from orchestration.sources import binance_usdm_archive, binance_vision
from orchestration.sources.binance_usdm_days import KEPT, WRITTEN, day_depth, parse_depth, parse_metrics, written
from orchestration.sources.body import Absent, Body, Parsed, SourceError, Window
from orchestration.sources.exchange import Lacking
from orchestration.sources.http import Answer, Http
from tests.test_source_binance_usdm import DAY, MARCH, NAME, NOON, body, zipped
from tests.test_sources import check_parsed, mutated, rows

# --- metrics

HEAD = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)


def file_of(kind: str, lines: Iterable[str], day: date = MARCH) -> Body:
    stem = f"SOLUSDT-{kind}-{day}"
    dataset = {"metrics": "perpetual_metrics", "bookDepth": "perpetual_depth"}[kind]
    url = f"https://data.example/{stem}.zip"
    return body(dataset, zipped(lines, f"{stem}.csv"), day, day + DAY, url=url, form="zip")


def metric(
    at: str = "00:05:00", base: str = "100.5", quote: str = "1000.25", *ratios: str, day: str = "2026-03-01"
) -> str:
    return f"{day} {at},SOLUSDT,{base},{quote},{','.join(ratios or ('1.5', '2', '0.5', '1'))}"


def metrics_of(*lines: str) -> tuple[dict | None, Parsed]:
    parsed = parse_metrics(file_of("metrics", lines))
    found = rows(parsed, "perpetual_metrics")
    return (found[0] if found else None), parsed


@pytest.mark.parametrize("head", [[HEAD], []])
def test_a_day_of_metrics_is_its_last_open_interest_and_the_means_of_its_ratios(head: list[str]):
    row, parsed = metrics_of(
        *head,
        metric("00:10:00", "101.0000000000000001", "1001", "2.5", "3", "", "3"),
        metric("00:00:00"),
        metric("00:05:00", "99", "", "1.1", "1", "1.5", ""),
    )
    assert row == {
        "exchange": NAME,
        "symbol": "SOLUSDT",
        "utc_date": MARCH,
        "open_interest_base": Decimal(101),
        "open_interest_quote": Decimal(1001),
        "last_row_at": datetime(2026, 3, 1, 0, 10),
        "mean_top_account_long_short_ratio": 1.7,
        "mean_top_position_long_short_ratio": 2.0,
        "mean_account_long_short_ratio": 1.0,
        "mean_taker_buy_sell_ratio": 2.0,
        "row_count": 3,
        "body_sha256": row and row["body_sha256"],
    }
    assert not parsed.refused and parsed.rounded_count == 1


def test_the_midnight_that_ends_a_day_is_its_last_row():
    row, parsed = metrics_of(HEAD, metric("00:05:00"), metric("00:00:00", "7", day="2026-03-02"))
    assert row and (row["open_interest_base"], row["last_row_at"]) == (Decimal(7), datetime(2026, 3, 2))
    assert not parsed.refused


def test_what_no_row_tells_is_null_and_never_zero():
    row, _ = metrics_of(HEAD, metric("00:05:00", "5", "50"), metric("00:10:00", "", "", "", "", "", ""))
    assert row and row["row_count"] == 2
    assert (row["open_interest_base"], row["last_row_at"].minute) == (Decimal(5), 5), "the last that tells it"
    row, _ = metrics_of(HEAD, metric("00:10:00", "", "", "", "", "", ""))
    assert row and row["open_interest_base"] is row["mean_taker_buy_sell_ratio"] is None
    assert metrics_of(HEAD)[0] is None and metrics_of()[0] is None


def test_rows_of_metrics_repeated_to_the_letter_count_once_and_two_values_for_a_moment_are_both_left_out():
    row, parsed = metrics_of(metric(), metric(), metric("00:10:00"), metric("00:10:00", "7"), metric("00:15:00", "8"))
    assert row and (row["row_count"], row["open_interest_base"]) == (2, Decimal(8))
    assert [each.reason for each in parsed.refused] == ["another row says something else of this moment"] * 2
    assert {each.day for each in parsed.refused} == {MARCH}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (metric("00:10:00", day="2026-02-28"), "outside of its file's day"),
        (metric("00:05:00", day="2026-03-02"), "outside of its file's day"),
        (metric("24:10:00"), "no time that can be read"),
        ("1772323200000,SOLUSDT,1,1,1,1,1,1", "no time that can be read"),
        (metric("00:10:00").replace("SOL", "XRP"), "is of 'XRPUSDT'"),
        (metric("00:10:00", "many"), "open_interest_base 'many' is not a number"),
        (metric("00:10:00", "1", "1", "NaN", "1", "1", "1"), "mean_top_account_long_short_ratio 'NaN' is not a finite"),
    ],
)
def test_a_row_of_metrics_that_is_none_is_left_out_alone(line: str, why: str):
    row, parsed = metrics_of(metric(), line)
    assert row and row["row_count"] == 1
    (refused,) = parsed.refused
    assert why in refused.reason and refused.row == line and refused.day == MARCH


def test_many_files_of_metrics_are_as_each_alone():
    files = [
        file_of("metrics", [HEAD, metric(), metric("00:10:00", "x")]),
        file_of("metrics", [metric(day="2026-03-02")], MARCH + DAY),
        file_of("metrics", [HEAD], MARCH + 2 * DAY),
    ]
    together, alone = parse_metrics(*files), [parse_metrics(each) for each in files]
    assert rows(together, "perpetual_metrics") == [r for each in alone for r in rows(each, "perpetual_metrics")]
    assert len(rows(together, "perpetual_metrics")) == 2
    assert together.refused == [refused for each in alone for refused in each.refused] != []


# --- depth


def look(at: str, *bands: tuple[str, str], day: str = "2026-03-01") -> list[str]:
    return [f"{day} {at},{percentage},1.0,{notional}" for percentage, notional in bands]


NEAR = [("-5.00", "500"), ("-2.00", "200"), ("-1.00", "100.00000001"), ("-0.20", "20")]
FAR = [("0.20", "21"), ("1.00", "110"), ("2.00", "220"), ("3.00", "330"), ("5.00", "550")]


def medians(*lines: str) -> dict[str, str | None]:
    return day_depth(file_of("bookDepth", ["timestamp,percentage,depth,notional", *lines])).medians


def test_the_median_of_what_rests_near_the_price_bids_below_it():
    lines = [
        *look("00:00:01", *NEAR, *FAR),
        *look("00:00:31", ("-1", "300"), ("1", "10")),
        *look("00:01:01", ("-1", "200"), ("2.0", "2E+2")),
    ]
    assert medians(*lines) == {
        "bid_within_1_percent_quote": "200",
        "ask_within_1_percent_quote": "60",
        "bid_within_2_percent_quote": "200",
        "ask_within_2_percent_quote": "210",
        "bid_within_5_percent_quote": "500",
        "ask_within_5_percent_quote": "550",
    }
    day = day_depth(file_of("bookDepth", lines))
    assert day.snapshot_count == 3 and not day.refused, "without a header, too"


def test_the_mean_of_the_two_in_the_middle_keeps_every_digit():
    lines = [*look("00:00:01", ("-1.00", "0.000000000001")), *look("00:00:31", ("-1.00", "12345678901234.00000001"))]
    assert medians(*lines)["bid_within_1_percent_quote"] == "6172839450617.000000005"


def test_rows_of_depth_repeated_to_the_letter_count_once_and_two_values_for_a_band_are_both_left_out():
    lines = [*look("00:00:01", ("-1.00", "5")) * 3, *look("00:00:31", ("-1.00", "6"), ("-1.0", "7"), ("2", "9"))]
    day = day_depth(file_of("bookDepth", lines))
    assert (day.medians["bid_within_1_percent_quote"], day.snapshot_count) == ("5", 2)
    assert [why for _, why in day.refused] == ["another row says something else of this band and moment"] * 2


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (look("00:00:31", ("-1.00", "5"), day="2026-03-02")[0], "outside of its file's day"),
        (look("23:59:59", ("-1.00", "5"), day="2026-02-28")[0], "outside of its file's day"),
        (look("00:00:31", ("near", "5"))[0], "percentage is no share"),
        (look("00:00:31", ("0", "5"))[0], "percentage is no share"),
        (look("00:00:31", ("-1.00", "nan"))[0], "notional 'nan' is not a finite number"),
        (look("00:00:31", ("-1.00", ""))[0], "notional is missing"),
        (look("0:31", ("-1.00", "5"))[0], "no time that can be read"),
    ],
)
def test_a_row_of_depth_that_is_none_is_left_out_alone(line: str, why: str):
    day = day_depth(file_of("bookDepth", [*look("00:00:01", ("-1.00", "5")), line]))
    assert (day.medians["bid_within_1_percent_quote"], day.snapshot_count) == ("5", 1)
    assert [(text, why in reason) for text, reason in day.refused] == [(line, True)]


def depth_body(*days: list[str]) -> Body:
    read = [day_depth(file_of("bookDepth", lines, MARCH + n * DAY)) for n, lines in enumerate(days)]
    return body("perpetual_depth", written(read), MARCH, MARCH + len(days) * DAY)


def test_reduced_depth_is_read_back():
    second = [line.replace("03-01", "03-02") for line in look("00:00:01", *NEAR)]
    bad = look("00:00:31", *[(f"x{n}", "1") for n in range(KEPT + 5)])
    parsed = parse_depth(depth_body([*look("00:00:01", *NEAR, *FAR), *bad], second, []))
    first, last = rows(parsed, "perpetual_depth")
    assert (first["utc_date"], first["snapshot_count"], first["ask_within_5_percent_quote"]) == (MARCH, 1, Decimal(550))
    assert first["bid_within_1_percent_quote"] == Decimal("100.00000001")
    assert (last["utc_date"], last["ask_within_5_percent_quote"]) == (MARCH + DAY, None)
    assert len(parsed.refused) == KEPT + 1 and "5 more rows" in parsed.refused[-1].reason
    assert {refused.day for refused in parsed.refused} == {MARCH}


@pytest.mark.parametrize(
    "content",
    [
        {"kind": "trades"},
        {"kind": "depth", "columns": [*WRITTEN], "rows": [["2026-03-01"]], "refused": [], "refused_count": 0},
        {"kind": "depth", "columns": ["x"], "rows": [], "refused": [], "refused_count": 0},
        [],
        b"PK",
    ],
)
def test_what_are_no_medians_is_said(content: object):
    with pytest.raises(SourceError, match=r"https://usdm\.example/x: "):
        parse_depth(body("perpetual_depth", content))


# --- any bytes

GOOD_DEPTH = json.loads(depth_body(look("00:00:01", *NEAR), []).content)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_body_of_medians_gives_rows_or_a_source_error(data: st.DataObject):
    try:
        parsed = parse_depth(body("perpetual_depth", data.draw(mutated(GOOD_DEPTH))))
    except SourceError as error:
        assert "https://usdm.example" in str(error) and error.reason == "failed"
    else:
        check_parsed(parsed)


FILES = {
    "metrics": (parse_metrics, [HEAD, metric(), metric("00:10:00", "7", "")]),
    "bookDepth": (
        lambda file: parse_depth(body("perpetual_depth", written([day_depth(file)]))),
        look("00:00:01", *NEAR),
    ),
}


@pytest.mark.parametrize("kind", FILES)
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_file_gives_rows_or_a_source_error(kind: str, data: st.DataObject):
    read, lines = FILES[kind]
    text = "".join(line + "\n" for line in lines).encode()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        some = data.draw(st.binary(max_size=3) | st.sampled_from([b",", b"\n", b"-", b"9" * 30, b"\0", b"e", b'"']))
        text = text[:at] + some + text[at + data.draw(st.integers(0, 4)) :]
    file = file_of(kind, [])
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(f"SOLUSDT-{kind}-2026-03-01.csv", text)
    try:
        parsed = read(replace(file, content=content.getvalue()))
    except SourceError as error:
        assert "https://" in str(error) and error.reason == "failed"
    else:
        check_parsed(parsed)


# --- which files


class Shelf:
    """Stands for `Http`, in front of an S3 bucket with a file for each of `days`; keeps the files asked for.

    `instead`: what a path is answered with before the right bytes; an error is raised."""

    def __init__(self, kind: str, days: Iterable[date], instead: dict[str, list[bytes | SourceError]] | None = None):
        self.files = {}
        for day in days:
            lines = [HEAD, metric(day=str(day))] if kind == "metrics" else look("00:00:01", *NEAR, day=str(day))
            stem = f"SOLUSDT-{kind}-{day}"
            self.files[f"data/futures/um/daily/{kind}/SOLUSDT/{stem}.zip"] = zipped(lines, f"{stem}.csv")
        self.instead = instead or {}
        self.bucket = Bucket("data.binance.vision", self, "sha256")
        self.asked: list[str] = []
        self.listed = 0

    def names(self, folder: str) -> Iterable[str]:
        below = [key.removeprefix(folder) for key in self.files if key.startswith(folder)]
        return {head + slash for head, slash, _ in (name.partition("/") for name in below)}

    def file(self, key: str) -> File | None:
        return File(datetime(2026, 3, 10), lambda: self.files[key]) if key in self.files else None

    def get(self, host, path: str, params=None, weight=1, wrong=None) -> Answer:
        if host is binance_vision.LISTING:
            self.listed += 1
            reply = self.bucket.list(Request(host.name, path, params or {}, ""))
            return Answer(f"https://{host.hosts[0]}{path}", reply.status, reply.body, NOON)
        name = path.rpartition("/")[2]
        self.asked.append(name)
        waiting = self.instead.get(name)
        content = waiting.pop(0) if waiting else self.bucket.get(path[1:]).body
        if isinstance(content, SourceError):
            raise content
        if wrong and (fault := wrong(content)):
            raise SourceError(f"{path}: HTTP 200 with {fault}")
        return Answer(f"https://{host.hosts[0]}{path}", 200, content, NOON)


def from_shelf(http: Shelf, kind: str, start: date, end: date, now: datetime) -> list[Body | Lacking]:
    fetch = {"metrics": binance_usdm_archive.fetch_metrics, "bookDepth": binance_usdm_archive.fetch_depth}[kind]
    return list(fetch(cast(Http, http), "SOLUSDT", Window(start, end), now))


def told(found: Iterable[Body | Lacking]) -> list[tuple[str, str, str]]:
    """Start, end and `body`, or why there is none."""
    return [
        (each.context["start"], each.context["end"], "body")
        if isinstance(each, Body)
        else (str(each.window.start), str(each.window.end), each.error.reason)
        for each in found
    ]


def days(*numbers: int) -> list[date]:
    return [MARCH + (n - 1) * DAY for n in numbers]


def test_a_file_a_day_one_listing_and_what_is_not_there():
    """Before a symbol's first file nothing lacks; of the last two days files may still come."""
    http = Shelf("metrics", days(3, 4, 6))
    found = from_shelf(http, "metrics", MARCH, MARCH + 8 * DAY, datetime(2026, 3, 9, 0, 30))
    assert told(found) == [
        ("2026-03-03", "2026-03-04", "body"),
        ("2026-03-04", "2026-03-05", "body"),
        ("2026-03-05", "2026-03-06", "file_missing"),
        ("2026-03-06", "2026-03-07", "body"),
        ("2026-03-07", "2026-03-08", "not_published_yet"),
        ("2026-03-08", "2026-03-09", "not_published_yet"),
    ]
    assert all(isinstance(each.error, Absent) for each in found if isinstance(each, Lacking))
    assert http.listed == 1 and http.asked == [f"SOLUSDT-metrics-2026-03-0{n}.zip" for n in (3, 4, 6)]
    one = found[0]
    assert isinstance(one, Body) and one.content == next(iter(http.files.values()))
    assert one.context["md5"] == hashlib.md5(one.content).hexdigest()
    assert [row["utc_date"].day for row in rows(parse_metrics(one), "perpetual_metrics")] == [3]


def test_days_of_depth_that_follow_each_other_are_one_body_that_names_its_files():
    http = Shelf("bookDepth", days(1, 2, 4))
    found = from_shelf(http, "bookDepth", MARCH, MARCH + 4 * DAY, datetime(2026, 3, 20))
    assert told(found) == [
        ("2026-03-01", "2026-03-03", "body"),
        ("2026-03-03", "2026-03-04", "file_missing"),
        ("2026-03-04", "2026-03-05", "body"),
    ]
    first = found[0]
    assert isinstance(first, Body)
    files = json.loads(first.context["files"])
    contents = list(http.files.values())
    assert [file["sha256"] for file in files] == [hashlib.sha256(content).hexdigest() for content in contents[:2]]
    assert [file["url"][-14:-4] for file in files] == ["2026-03-01", "2026-03-02"]
    assert len(rows(parse_depth(first), "perpetual_depth")) == 2


@pytest.mark.parametrize("kind", ["metrics", "bookDepth"])
def test_a_file_that_is_wrong_lacks_alone(kind: str):
    """Not what the listing says, nor what its checksum says; the days beside it come."""
    name = f"SOLUSDT-{kind}-2026-03-02.zip"
    http = Shelf(kind, days(1, 2, 3), instead={name: [b"PK cut", *[zipped(["older"], "x.csv")] * 2]})
    found = from_shelf(http, kind, MARCH, MARCH + 3 * DAY, datetime(2026, 3, 20))
    assert [(start[-2:], what) for start, _, what in told(found)] == [("01", "body"), ("02", "failed"), ("03", "body")]
    lacking = found[1]
    assert isinstance(lacking, Lacking) and "its checksum says" in str(lacking.error)


def test_a_file_replaced_after_it_was_listed_is_what_its_checksum_says():
    name = "SOLUSDT-metrics-2026-03-01.zip"
    http = Shelf("metrics", days(1), instead={name: [zipped(["older"], "x.csv")]})
    (found,) = from_shelf(http, "metrics", MARCH, MARCH + DAY, datetime(2026, 3, 20))
    assert isinstance(found, Body) and http.asked == [name, name, f"{name}.CHECKSUM"]
    assert found.context["checksum_sha256"] == found.sha256


def test_a_file_of_depth_that_cannot_be_read_lacks_alone():
    http = Shelf("bookDepth", days(1, 2, 3))
    key = next(key for key in http.files if "03-02" in key)
    http.files[key] = zipped(["1,2"], "SOLUSDT-bookDepth-2026-03-02.csv")
    found = from_shelf(http, "bookDepth", MARCH, MARCH + 3 * DAY, datetime(2026, 3, 20))
    assert [what for _, _, what in told(found)] == ["body", "failed", "body"]


def test_a_file_that_is_gone_is_absent_and_a_host_that_does_not_answer_ends_it():
    gone = SourceError("HTTP 404", status=404)
    http = Shelf("metrics", days(1, 2), instead={"SOLUSDT-metrics-2026-03-01.zip": [gone]})
    found = from_shelf(http, "metrics", MARCH, MARCH + 2 * DAY, datetime(2026, 3, 20))
    assert [what for _, _, what in told(found)] == ["file_missing", "body"]
    dead = SourceError("HTTP 500 after 5 tries")
    http = Shelf("metrics", days(1, 2), instead={"SOLUSDT-metrics-2026-03-01.zip": [dead]})
    with pytest.raises(SourceError, match="HTTP 500"):
        from_shelf(http, "metrics", MARCH, MARCH + 2 * DAY, datetime(2026, 3, 20))


# --- recorded files


@pytest.mark.recorded
def test_recorded_files_of_metrics_and_depth(shared: Path):
    def file(kind: str) -> Body:
        stem = f"BTCUSDT-{kind}-2026-07-29"
        text = (shared / f"fixtures/binance_vision/um_{kind}_BTCUSDT_2026-07-29.csv").read_text().split("\n")
        first, url = date(2026, 7, 29), f"https://data.example/{stem}.zip"
        content = zipped([line for line in text if line], f"{stem}.csv")
        return body("x", content, first, first + DAY, url=url, form="zip", symbol="BTCUSDT")

    parsed = parse_metrics(file("metrics"))
    (row,) = rows(parsed, "perpetual_metrics")
    assert (row["row_count"], row["open_interest_base"], parsed.refused) == (6, Decimal("103159.741"), [])
    # 1.684121 + 1.815883 + 0.787768 + 0.975157 + 0.753801 + 1.004684, of six
    assert row["mean_taker_buy_sell_ratio"] == pytest.approx(7.021414 / 6, rel=1e-12)
    day = day_depth(file("bookDepth"))
    assert (day.snapshot_count, day.refused) == (1, [])
    assert day.medians["bid_within_1_percent_quote"] == "124164873.8795"
    assert day.medians["ask_within_5_percent_quote"] == "622329001.5043"
