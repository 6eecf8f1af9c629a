"""Binance's archive of daily klines: files by hand, gone wrong, the fewest that cover a window, and the API's rows."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.asking.bars import archive_answers_until
from orchestration.sandbox.bucket import Bucket, File
from orchestration.sandbox.wire import Request
from orchestration.sources import binance, binance_vision
from orchestration.sources.body import Body, Parsed, SourceError, Window
from orchestration.sources.daily_bars import DAY_MS, ms
from orchestration.sources.http import Answer, Host, Http
from tests.test_faults import sandbox
from tests.test_sources import NOON, check_parsed, kline, rows

MARCH = date(2026, 3, 1)
HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)


def line(bar: list, is_micro: bool = True) -> str:
    """A kline as it stands in a file."""
    cells = list(map(str, bar))
    if is_micro:
        cells[0], cells[6] = f"{bar[0]}000", f"{bar[6]}999"
    return ",".join(cells)


def zipped(*lines: str, name: str = "SOLUSDT-1d-2026-03.csv", end: str = "\n") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, "".join(each + end for each in lines))
    return packed.getvalue()


def packed(
    content: bytes,
    name: str = "SOLUSDT-1d-2026-03.zip",
    start: str = "2026-03-01",
    end: str = "2026-03-08",
    **told: str,
) -> Body:
    """A file of the archive as fetched."""
    context = {"symbol": "SOLUSDT", "start": start, "end": end, "now": "2026-04-10T00:00:00", "form": "zip"} | told
    return Body("binance", "spot_flows", f"https://archive.example/{name}", 200, NOON, content, context)


def page(*bars: list) -> Body:
    """A page of the API with the same bars."""
    context = {"symbol": "SOLUSDT", "start": "2026-03-01", "end": "2026-03-08", "now": "2026-04-10T00:00:00"}
    return Body("binance", "spot_flows", "https://api.example/x", 200, NOON, json.dumps(bars).encode(), context)


def days(parsed: Parsed) -> list[int]:
    return [row["utc_date"].day for row in rows(parsed, "spot_flows")]


BARS = [kline(0), kline(1, quote="149074.60000000", taker_quote="1.00000001"), kline(2)]


# --- what is in a file


@pytest.mark.parametrize("form", ["us", "ms", "mixed", "header", "crlf", "no last line end"])
def test_a_file_has_the_rows_of_the_api(form: str):
    lines = [line(bar, is_micro=form != "ms" and (form != "mixed" or bar is not BARS[1])) for bar in BARS]
    if form == "header":
        lines.insert(0, HEADER)
    content = zipped(*lines, end="\r\n" if form == "crlf" else "\n")
    if form == "no last line end":
        content = zipped("\n".join(lines), end="")
    file = packed(content)
    parsed = binance.parse_flows(file)
    assert not parsed.refused
    changed = {"source_kind": "archive", "body_sha256": file.sha256}
    assert rows(parsed, "spot_flows") == [row | changed for row in rows(binance.parse_flows(page(*BARS)), "spot_flows")]
    assert rows(parsed, "spot_flows")[1]["taker_buy_quote"] == Decimal("1.00000001")


def test_files_and_pages_in_one_call_are_files_and_pages_alone():
    bodies = [
        page(BARS[0]),
        packed(zipped(line(BARS[1]), line(kline(40)))),
        page(),
        packed(zipped()),
        page(kline(2, quote=None), BARS[2]),
        packed(zipped(line(kline(4, quote="NaN")), line(kline(5)))),
    ]
    together, alone = binance.parse_flows(*bodies), [binance.parse_flows(body) for body in bodies]
    assert rows(together, "spot_flows") == [row for each in alone for row in rows(each, "spot_flows")]
    assert together.refused == [row for each in alone for row in each.refused] and len(together.refused) == 3
    assert [row["source_kind"] for row in rows(together, "spot_flows")] == ["klines", "archive", "klines", "archive"]


def test_rows_repeated_to_the_letter_count_once():
    """As in JUVUSDT-1d-2022-03."""
    parsed = binance.parse_flows(packed(zipped(*[line(bar) for bar in BARS] * 3)))
    assert days(parsed) == [1, 2, 3] and not parsed.refused


def test_rows_that_contradict_each_other_are_refused_and_the_others_stay():
    lines = [line(kline(0)), line(kline(1)), line(kline(1, quote="149074.60000000")), line(kline(1), False)]
    parsed = binance.parse_flows(packed(zipped(*lines, line(kline(2)))))
    assert days(parsed) == [1, 3]
    assert {row.reason for row in parsed.refused} == {"another row says something else of this day"}
    # The row in milliseconds says the same as the first of its day, so it is not a third one.
    assert [row.day for row in parsed.refused] == [date(2026, 3, 2)] * 2


def test_days_of_the_month_that_nobody_asked_for_are_left_out():
    parsed = binance.parse_flows(packed(zipped(*[line(kline(day)) for day in range(31)]), end="2026-03-04"))
    assert days(parsed) == [1, 2, 3] and not parsed.refused


@pytest.mark.parametrize(
    ("bad", "why", "day"),
    [
        (line(kline(31)), "outside of the days that were asked for", None),
        (line(kline(-1)), "outside of the days that were asked for", None),
        (line(kline(1)).replace("000,", "001,", 1), "which is not 00:00 UTC of a day in milliseconds", None),
        (line(kline(1, opened=ms(MARCH) + DAY_MS + 8 * 3_600_000)), "which is not 00:00 UTC of a day", None),
        (
            line(kline(1, closed=ms(MARCH) + DAY_MS + 8 * 3_600_000 - 1)),
            "closes at 1772438399999 ms, which is not the end of its day",
            date(2026, 3, 2),
        ),
        (line(kline(1, quote="")), "volume_quote '' is not a number", date(2026, 3, 2)),
        (line(kline(1, taker_quote="1e99")), "taker_buy_quote '1e99' has more than 26 digits", date(2026, 3, 2)),
        (line(kline(1, base="59e25000000")), "volume_base '59e25000000' has more than 26 digits", date(2026, 3, 2)),
        (line(kline(1, high='"1"')), "high_price '\"1\"' is not a finite number", date(2026, 3, 2)),
    ],
)
def test_one_bad_row_is_refused_with_its_reason_and_the_others_stay(bad: str, why: str, day: date | None):
    parsed = binance.parse_flows(packed(zipped(line(kline(0)), bad, line(kline(2)))))
    assert days(parsed) == [1, 3]
    (refused,) = parsed.refused
    assert why in refused.reason and refused.day == day and refused.key.startswith("binance SOLUSDT 17")


@pytest.mark.parametrize("text", ["1e-25000000", "1E-2147483647", "7e-99", "0." + "0" * 60 + "1"])
def test_an_amount_too_small_to_be_kept_is_rounded_and_counted(text: str):
    """Arrow's own reading of such a number ends the process, or takes what stands behind its table."""
    parsed = binance.parse_flows(packed(zipped(line(kline(0, taker_quote=text)), line(kline(1)))))
    assert [row["taker_buy_quote"] for row in rows(parsed, "spot_flows")] == [Decimal(0), Decimal("59637.25")]
    assert parsed.rounded_count == 1 and not parsed.refused


def test_a_day_that_is_not_closed_by_the_exchanges_clock_is_left_out():
    file = packed(zipped(*[line(bar) for bar in BARS]), now="2026-03-03T12:00:00")
    assert days(binance.parse_flows(file)) == [1, 2]


def test_a_file_without_rows_says_nothing():
    for content in (zipped(), zipped(""), zipped(HEADER)):
        assert days(binance.parse_flows(packed(content))) == []


def several() -> bytes:
    written = io.BytesIO(zipped(line(kline())))
    with zipfile.ZipFile(written, "a") as archive:
        archive.writestr("readme.txt", "x")
    return written.getvalue()


def other_packing(method: int) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", method) as archive:
        archive.writestr("SOLUSDT-1d-2026-03.csv", line(kline()) + "\n")
    return written.getvalue()


def with_flag(content: bytes, flag: int) -> bytes:
    """The flags of the member, in its own head and in the directory."""
    at = content.index(b"PK\1\2") + 8
    changed = bytearray(content)
    changed[6] |= flag
    changed[at] |= flag
    return bytes(changed)


def bomb(says: int | None = None) -> bytes:
    """64 MiB and a byte in 64 KiB; `says`: the size that its directory claims."""
    content = bytearray(zipped("0" * (binance_vision.MOST_UNPACKED)))
    if says is not None:
        for at in (22, content.index(b"PK\1\2") + 24):
            content[at : at + 4] = says.to_bytes(4, "little")
    return bytes(content)


GOOD = zipped(*[line(bar) for bar in BARS])
FILES_GONE_WRONG = {
    "no zip": b"<html></html>",
    "nothing": b"",
    "cut": GOOD[:-30],
    "another byte inside": GOOD[:60] + bytes([GOOD[60] ^ 1]) + GOOD[61:],
    "several members": several(),
    "another member": zipped(line(kline()), name="SOLUSDT-1d-2026-02.csv"),
    "a folder": zipped(name="SOLUSDT-1d-2026-03.csv/"),
    "no member": b"PK\5\6" + b"\0" * 18,
    "encrypted": with_flag(GOOD, 1),
    "bzip2": other_packing(zipfile.ZIP_BZIP2),
    "LZMA": other_packing(zipfile.ZIP_LZMA),
    "a bomb": bomb(),
    "a bomb that says it is small": bomb(100),
    "a page": zipped("<html>", "</html>"),
    "11 fields": zipped(line(kline()[:11])[:-3]),
    "13 fields": zipped(line(kline()) + ",0"),
    "text instead of a time": zipped(line(kline(opened="1x"), False)),
    "no count": zipped(line(kline(trades=""))),
    "a count with decimals": zipped(line(kline(trades="1.5"))),
    "a time that fits no integer": zipped(line(kline(opened=10**20), False)),
    "a header in the middle": zipped(line(kline()), HEADER),
}


@pytest.mark.parametrize("content", FILES_GONE_WRONG.values(), ids=FILES_GONE_WRONG.keys())
def test_what_is_no_file_of_klines_is_said(content: bytes):
    with pytest.raises(SourceError, match=r"^https://archive\.example/SOLUSDT-1d-2026-03\.zip: "):
        binance.parse_flows(packed(content))


def test_text_that_is_none_is_said():
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("SOLUSDT-1d-2026-03.csv", line(kline(open="\xff")).encode("latin-1"))
    with pytest.raises(SourceError, match="no file of klines"):
        binance.parse_flows(packed(written.getvalue()))


@pytest.mark.parametrize("name", ["SOLUSDT-1h-2026-03.zip", "x", "SOLUSDT-1d-2026-13.zip", "SOLUSDT-1d-2026-02-30.zip"])
def test_another_file_is_none_of_daily_klines(name: str):
    with pytest.raises(SourceError, match="no file of daily klines"):
        binance.parse_flows(packed(GOOD, name=name))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_bytes_give_rows_or_a_source_error(data: st.DataObject):
    """Bytes of the zip, or of the CSV in a sound zip, are exchanged, dropped and inserted."""
    text = "".join(line(bar, bool(index)) + "\n" for index, bar in enumerate(BARS)).encode()
    is_inside = data.draw(st.booleans())
    content = text if is_inside else GOOD
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        some = data.draw(st.binary(max_size=3) | st.sampled_from([b",", b"\n", b"-", b"9" * 12, b"\0", b"e", b'"']))
        content = content[:at] + some + content[at + data.draw(st.integers(0, 4)) :]
    if is_inside:
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w") as archive:
            archive.writestr("SOLUSDT-1d-2026-03.csv", content)
        content = written.getvalue()
    try:
        parsed = binance.parse_flows(packed(content))
    except SourceError as error:
        assert str(error).startswith("https://archive.example/") and error.reason == "failed"
    else:
        check_parsed(parsed)


@pytest.mark.recorded
@pytest.mark.parametrize(
    "name", ["spot_klines_8h_BTCUSDT_2026-07-29_us_noheader.csv", "um_klines_8h_BTCUSDT_2026-07-28_ms_header.csv"]
)
def test_recorded_files_equal_the_oracle_to_the_last_digit(name: str, shared: Path):
    content = (shared / "fixtures" / "binance_vision" / name).read_bytes()
    expected = json.loads((shared / "fixtures" / "ORACLE.json").read_text())["expected"][f"binance_vision/{name}"]
    bars = binance_vision.read_csv(packed(b""), content).to_pylist()
    ((day, sums),) = expected.items()
    first = ms(date.fromisoformat(day))
    assert [(bar["opened"], bar["closed"] + 1) for bar in bars] == [
        (first + n * DAY_MS // 3, first + (n + 1) * DAY_MS // 3) for n in range(3)
    ]
    bought = sum(Decimal(bar["taker_buy_quote"]) for bar in bars)
    assert bought == Decimal(sums["taker_buy_quote"])
    assert sum(Decimal(bar["volume_quote"]) for bar in bars) - bought == Decimal(sums["taker_sell_quote"])
    assert sum(bar["trade_count"] for bar in bars) == sums["trades"]
    # As a file of days it would be refused: a part of a day is no day.
    written = zipped(content.decode().rstrip("\n"), name=f"BTCUSDT-1d-{day}.csv")
    parsed = binance.parse_flows(packed(written, f"BTCUSDT-1d-{day}.zip", start=day, end="2026-07-31"))
    assert days(parsed) == [] and len(parsed.refused) == 3


# --- which files


class Shelf:
    """Stands for `Http`, in front of an S3 bucket with given files; keeps the paths that were asked for.

    `broken`: what a path is answered with before the right bytes."""

    def __init__(self, files: dict[str, bytes], broken: dict[str, list[bytes]] | None = None):
        self.files, self.broken = files, broken or {}
        self.bucket = Bucket("data.binance.vision", self, "sha256")
        self.asked: list[str] = []
        self.listed = 0

    def names(self, folder: str) -> Iterable[str]:
        below = [key.removeprefix(folder) for key in self.files if key.startswith(folder)]
        return {head + slash for head, slash, _ in (name.partition("/") for name in below)}

    def file(self, key: str) -> File | None:
        return File(datetime(2026, 4, 10), lambda: self.files[key]) if key in self.files else None

    def get(self, host: Host, path: str, params=None, weight=1, wrong=None) -> Answer:
        if host is binance_vision.LISTING:
            self.listed += 1
            reply = self.bucket.list(Request(host.name, path, params or {}, ""))
        else:
            self.asked.append(path.rpartition("/")[2])
            reply = self.bucket.get(unquote(path[1:]))
        waiting = self.broken.get(path.rpartition("/")[2])
        content = waiting.pop(0) if waiting else reply.body
        assert reply.status == 200, path
        fault = wrong(content) if wrong else None
        if fault:
            raise SourceError(f"{path}: HTTP 200 with {fault}")
        return Answer(f"https://{host.hosts[0]}{path}", reply.status, content, NOON)


def shelf(months: dict[str, list[int]], days_of: Iterable[date], symbol: str = "SOLUSDT", **options) -> Shelf:
    """Files of the given months (with these days of theirs) and days."""
    root, files = "data/spot/{}/klines/{}/1d/{}-1d-{}.zip", {}
    for month, wanted in months.items():
        first = date.fromisoformat(f"{month}-01")
        bars = [line(kline((first - MARCH).days + day - 1)) for day in wanted]
        files[root.format("monthly", symbol, symbol, month)] = zipped(*bars, name=f"{symbol}-1d-{month}.csv")
    for day in days_of:
        content = zipped(line(kline((day - MARCH).days)), name=f"{symbol}-1d-{day}.csv")
        files[root.format("daily", symbol, symbol, day)] = content
    return Shelf(files, **options)


def fetched(http: Shelf, start: str, end: str, symbol: str = "SOLUSDT", now: str = "2026-04-10") -> list[Body]:
    window = Window(date.fromisoformat(start), date.fromisoformat(end))
    return list(binance_vision.fetch(http, symbol, window, datetime.fromisoformat(now)))  # pyright: ignore[reportArgumentType]


def span(start: str, end: str) -> list[date]:
    first = date.fromisoformat(start)
    return [first + timedelta(days=n) for n in range((date.fromisoformat(end) - first).days)]


FULL = {"2026-01": list(range(1, 32)), "2026-02": list(range(1, 29)), "2026-03": list(range(1, 32))}


@pytest.mark.parametrize(
    ("start", "end", "files"),
    [
        ("2026-01-01", "2026-04-01", ["2026-01", "2026-02", "2026-03"]),
        ("2026-01-31", "2026-03-03", ["2026-01-31", "2026-02", "2026-03"]),
        ("2026-01-30", "2026-03-02", ["2026-01", "2026-02", "2026-03-01"]),
        ("2026-02-10", "2026-02-11", ["2026-02-10"]),
        ("2026-02-10", "2026-02-12", ["2026-02"]),
        ("2026-03-31", "2026-04-04", ["2026-03-31", "2026-04-01", "2026-04-02", "2026-04-03"]),
        ("2026-03-30", "2026-04-12", ["2026-03", *map(str, span("2026-04-01", "2026-04-09"))]),
        ("2025-11-01", "2026-01-03", ["2026-01"]),
    ],
)
def test_the_fewest_files_that_cover_the_window(start: str, end: str, files: list[str]):
    http = shelf(FULL, span("2026-01-01", "2026-04-09"))
    bodies = fetched(http, start, end)
    assert http.asked == [f"SOLUSDT-1d-{file}.zip{suffix}" for file in files for suffix in ("", ".CHECKSUM")]
    wanted = [day for day in span(start, end) if date(2026, 1, 1) <= day < date(2026, 4, 9)]
    parsed = binance.parse_flows(*bodies)
    assert [row["utc_date"] for row in rows(parsed, "spot_flows")] == wanted and not parsed.refused
    assert http.listed == 2


def test_a_body_is_the_file_as_received_with_what_was_asked():
    http = shelf(FULL, [])
    (body,) = fetched(http, "2026-02-02", "2026-02-04", now="2026-04-10T00:30:00")
    content = http.files["data/spot/monthly/klines/SOLUSDT/1d/SOLUSDT-1d-2026-02.zip"]
    assert (body.upstream, body.dataset, body.content) == ("binance", "spot_flows", content)
    assert body.url == "https://data.binance.vision/data/spot/monthly/klines/SOLUSDT/1d/SOLUSDT-1d-2026-02.zip"
    assert body.context == {
        "symbol": "SOLUSDT",
        "start": "2026-02-02",
        "end": "2026-02-04",
        "now": "2026-04-10T00:30:00",
        "form": "zip",
        "checksum_sha256": hashlib.sha256(content).hexdigest(),
    }


def test_days_that_a_month_lacks_come_from_files_of_days():
    """As in SHIBUSDT-1d-2024-07, which had 7 rows."""
    http = shelf(FULL | {"2026-02": list(range(1, 8))}, span("2026-02-01", "2026-02-12"))
    bodies = fetched(http, "2026-02-05", "2026-03-01")
    assert [body.url[-14:] for body in bodies] == [
        "1d-2026-02.zip",
        *(f"{day}.zip" for day in span("2026-02-08", "2026-02-12")),
    ]
    assert days(binance.parse_flows(*bodies)) == [5, 6, 7, 8, 9, 10, 11]


def test_one_day_whose_file_is_not_there_comes_from_its_month():
    (body,) = fetched(shelf(FULL, []), "2026-02-10", "2026-02-11")
    assert days(binance.parse_flows(body)) == [10] and body.url.endswith("1d-2026-02.zip")


@pytest.mark.parametrize(("start", "end"), [("2026-03-01", "2026-03-10"), ("2026-02-10", "2026-02-10")])
def test_where_there_is_no_file_the_answer_is_the_listing(start: str, end: str):
    (body,) = fetched(shelf({}, span("2026-04-01", "2026-04-09"), symbol="SOLUSDC"), start, end)
    assert b"<ListBucketResult" in body.content and body.context["form"] == "listing"
    parsed = binance.parse_flows(body, packed(GOOD))
    assert days(parsed) == [1, 2, 3] and not parsed.refused
    assert rows(binance.parse_flows(body), "spot_flows") == []
    with pytest.raises(SourceError, match="instead of a listing"):
        binance.parse_flows(packed(b"<?xml version='1.0'?><Error></Error>", form="listing"))


def test_files_of_other_symbols_and_other_keys_are_none_of_this_symbol():
    http = shelf(FULL, span("2026-03-01", "2026-03-04"))
    folder = "data/spot/daily/klines/SOLUSDT/1d/SOLUSDT-1d-"
    other = {f"{folder}2026-03-02.zip.tmp", f"{folder}2026-03-32.zip", f"{folder}latest.zip", "data/spot/x"}
    http.files |= dict.fromkeys([*other, "data/spot/daily/klines/SOLUSDTX/1d/SOLUSDTX-1d-2026-03-02.zip"], b"PK")
    assert len(fetched(http, "2026-03-02", "2026-03-03")) == 1


def test_a_name_of_other_letters_is_asked_for_and_found():
    http = shelf({}, [date(2026, 3, 2)], symbol="币安人生USDT")
    (key,) = http.files
    # As a program writes it that does not say that its names are UTF-8.
    http.files[key] = http.files[key].replace(b"\x00\x08\x08\x00", b"\x00\x00\x08\x00")
    assert zipfile.ZipFile(io.BytesIO(http.files[key])).namelist()[0].isascii() is False
    assert "币" not in zipfile.ZipFile(io.BytesIO(http.files[key])).namelist()[0]
    (body,) = fetched(http, "2026-03-01", "2026-03-05", symbol="币安人生USDT")
    assert "%E5%B8%81" in body.url and days(binance.parse_flows(body)) == [2]


NAME = "SOLUSDT-1d-2026-02.zip"


@pytest.mark.parametrize(
    "broken",
    [
        {NAME: [zipped("an older file", name="SOLUSDT-1d-2026-02.csv")]},
        {f"{NAME}.CHECKSUM": [b"0" * 64 + b"  " + NAME.encode()]},
    ],
)
def test_a_file_replaced_while_it_is_fetched_is_fetched_again(broken: dict):
    http = shelf(FULL, [], broken=broken)
    (body,) = fetched(http, "2026-02-01", "2026-03-01")
    assert http.asked == [NAME, f"{NAME}.CHECKSUM"] * 2
    assert len(days(binance.parse_flows(body))) == 28


def test_a_checksum_in_capitals_is_one():
    content = shelf(FULL, []).files[f"data/spot/monthly/klines/SOLUSDT/1d/{NAME}"]
    told = hashlib.sha256(content).hexdigest().upper().encode() + b"  " + NAME.encode()
    http = shelf(FULL, [], broken={f"{NAME}.CHECKSUM": [told]})
    assert len(fetched(http, "2026-02-01", "2026-03-01")) == 1 and len(http.asked) == 2


def test_a_file_that_is_never_what_its_checksum_says_is_refused():
    http = shelf(FULL, [], broken={NAME: [GOOD] * 2})
    with pytest.raises(SourceError, match="but its checksum says .* twice"):
        fetched(http, "2026-02-01", "2026-03-01")
    assert http.asked == [NAME, f"{NAME}.CHECKSUM"] * 2


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({NAME: [b"<html>"]}, "something else than a zip"),
        ({NAME: [GOOD[:-25]]}, "a cut zip"),
        ({f"{NAME}.CHECKSUM": [b"<html>"]}, "something else than a checksum"),
        ({f"{NAME}.CHECKSUM": [b"0" * 63]}, "something else than a checksum"),
    ],
)
def test_the_client_is_told_what_a_file_and_a_checksum_look_like(broken: dict, message: str):
    with pytest.raises(SourceError, match=message):
        fetched(shelf(FULL, [], broken=broken), "2026-02-01", "2026-03-01")


def test_every_symbol_that_ever_had_a_file():
    keys = [f"data/spot/monthly/klines/S{n:04}USDT/1d/S{n:04}USDT-1d-2021-01.zip" for n in range(1500)]
    keys += ["data/spot/daily/klines/NEWUSDT/1d/NEWUSDT-1d-2026-04-08.zip", "data/spot/daily/klines/readme.txt"]
    keys += ["/data/spot/daily/klines/OLDUSDT/1d/x.zip", "data/spot/daily/trades/T/x.zip"]
    bodies = list(binance_vision.fetch_symbols(Shelf(dict.fromkeys(keys, b"PK"))))  # pyright: ignore[reportArgumentType]
    assert len(bodies) == 3
    found = [name for body in bodies for name in binance_vision.names(body)]
    assert sorted(found) == ["NEWUSDT", *(f"S{n:04}USDT" for n in range(1500))]


def test_names_of_the_old_tree_are_no_symbols():
    listing = b"""<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Prefix></Prefix>
        <CommonPrefixes><Prefix>/data/spot/daily/klines/OLD/</Prefix></CommonPrefixes>
        <CommonPrefixes><Prefix>data/spot/daily/klines/A&amp;B/</Prefix></CommonPrefixes></ListBucketResult>"""
    assert binance_vision.names(packed(listing)) == ["A&B"]
    with pytest.raises(SourceError, match="instead of a listing"):
        binance_vision.names(packed(b"<html></html>"))


# --- over HTTP


@pytest.fixture(scope="module")
def http() -> Iterator[Http]:
    with sandbox("--now", "2025-03-20", "--size", "14") as url:
        client = Http(url)
        yield client
        client.close()


def test_the_archive_says_what_the_api_says_across_the_change_of_units(http: Http):
    flows, window = binance.EXCHANGE.flows, Window(date(2024, 10, 20), date(2025, 3, 20))
    assert flows.spare is not None  # pyright: ignore[reportAttributeAccessIssue]
    now = datetime(2025, 3, 20)
    asked = binance.parse_flows(*binance.fetch_flows(http, "SOLUSDT", window, now)).tables["spot_flows"]
    bodies = list(binance_vision.SPARE.fetch(http, "SOLUSDT", window, now))
    names = [body.url.rpartition("/")[2].removeprefix("SOLUSDT-1d-").removesuffix(".zip") for body in bodies]
    # Of March only days are there, but for the last one, which comes on the next morning.
    assert names == [
        *("2024-10", "2024-11", "2024-12", "2025-01", "2025-02"),
        *map(str, span("2025-03-01", "2025-03-19")),
    ]
    parsed = binance.parse_flows(*bodies)
    assert not parsed.refused
    found = parsed.tables["spot_flows"]
    own = ["source_kind", "body_sha256"]
    assert found.num_rows == 150
    assert found.drop_columns(own).equals(asked.drop_columns(own).slice(0, 150))
    assert asked.num_rows == 151
    assert set(found["source_kind"].to_pylist()) == {"archive"}
    assert len(set(found["body_sha256"].to_pylist())) == len(bodies)


def test_the_archive_names_every_symbol_of_the_api(http: Http):
    (listing,) = binance.fetch_symbols(http)
    listed = set(binance.parse_symbols(listing).tables["spot_symbols"]["symbol"].to_pylist())
    spare = binance_vision.SPARE
    assert {name for body in spare.fetch_symbols(http) for name in spare.names(body)} == listed and len(listed) > 10


TODAY = date(2026, 3, 20)


@pytest.mark.parametrize(
    ("window", "last_file_end", "last_bar", "until"),
    [
        # Yesterday's file is not there yet, and nothing is stored: the answer ends where the files do.
        ((1, 20), 19, None, 19),
        # The API gave yesterday's bar before the symbol left its list: the archive withdraws nothing.
        ((13, 20), 19, 19, 19),
        # The same where it gave more than the archive will ever have.
        ((1, 20), 5, 8, 5),
        # The last file is old and nothing is stored after it: the symbol is gone, and so the archive says.
        ((1, 20), 5, 4, 20),
        # No file in the window: new days may come, old ones do not.
        ((15, 20), None, None, 15),
        ((5, 20), None, 4, 20),
        # A month's file reaches beyond what was asked.
        ((1, 10), 31, None, 10),
    ],
)
def test_the_archive_answers_for_the_days_that_it_has(window, last_file_end, last_bar, until) -> None:
    def day(number: int | None) -> date | None:
        return date(2026, 3, number) if number else None

    asked = Window(date(2026, 3, window[0]), date(2026, 3, window[1]))
    assert archive_answers_until(asked, day(last_file_end), day(last_bar), TODAY) == day(until)
