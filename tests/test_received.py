"""Rows of a body as received, found by their day in whatever form an upstream writes it."""

import gzip
import io
import zipfile
from datetime import UTC, date, datetime

import pytest

from orchestration.archive import Archive, Asked
from orchestration.received import rows_of_day
from orchestration.sources.body import Body, Window

DAY = date(2024, 1, 2)


def zipped(name: str, text: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr(name, text)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "place", "text"),
    [
        # Binance: milliseconds, and numbers that must not lose a digit.
        (b'[[1704067200000,"1"],[1704153600000,"2.50",0.10]]', "[1]", '[1704153600000,"2.50",0.10]'),
        # DefiLlama: seconds as text, deep below, with what belongs to the row.
        (
            b'{"chains": {"Tron": {"tokens": [{"date": "1704153600", "circulating": {"peggedUSD": 5}}]}}}',
            "chains.Tron.tokens[0]",
            '{"date": "1704153600", "circulating": {"peggedUSD": 5}}',
        ),
        (b'{"data":[{"asset":"btc","time":"2024-01-02T00:00:00.000Z"}]}', "data[0]", None),
        (b"DATE,DFF\n2024-01-01,5.33\n2024-01-02,5.34\n", "line 3", "2024-01-02,5.34"),
        # A zip of Binance's archive, microseconds since 2025.
        (zipped("SOL.csv", "1704153599999999,1\n1704153600000000,2\n"), "SOL.csv line 2", "1704153600000000,2"),
        (gzip.compress(b'["2024-01-02", 7]', mtime=0), "", '["2024-01-02", 7]'),
    ],
)
def test_the_row_of_a_day_is_cut_out_as_it_came(content: bytes, place: str, text: str | None):
    (row,) = rows_of_day(content, DAY)
    assert row.place == place
    assert text is None or row.text == text


def test_the_series_chooses_among_rows_of_one_day():
    body = b'[["SOLUSDT","2024-01-02",1],["XRPUSDT","2024-01-02",2],["XRPUSDT","2024-01-03",3]]'
    assert [row.text for row in rows_of_day(body, DAY, "XRPUSDT")] == ['["XRPUSDT","2024-01-02",2]']
    assert len(rows_of_day(body, DAY, "*")) == 2


@pytest.mark.parametrize(
    "content", [b"", b"<html>no</html>", b'{"a": "\\u00"}', b"]]]", b"[1704153600000", b"\xff\xfe"]
)
def test_what_is_no_answer_has_no_rows(content: bytes):
    assert rows_of_day(content, DAY) == []


def test_a_header_goes_with_its_line():
    (row,) = rows_of_day(b"DATE,DFF\n2024-01-02,5.34\n", DAY)
    assert row.header == "DATE,DFF"


def test_the_archive_finds_bodies_by_their_cards(tmp_path):
    archive = Archive(tmp_path)
    fetched = datetime(2024, 2, 1, tzinfo=UTC)
    asked = Asked("SOLUSDT", Window(DAY, DAY), 1, 1, 1)
    bodies = [Body("binance", "spot_flows", f"https://{i}", 200, fetched, b"[%d]" % i * 50) for i in range(3)]
    for body in bodies:
        archive.append(body, asked, "run-1")
    archive.close()
    pack = tmp_path / "binance" / "2024-02" / "run-1.pack"
    pack.write_bytes(pack.read_bytes()[:-3])
    found = archive.located("binance", fetched)
    assert set(found) == {body.sha256 for body in bodies[:2]}, "the torn last body is no body"
    assert archive.read(*found[bodies[1].sha256], bodies[1].sha256) == bodies[1].content
    assert archive.located("binance", datetime(2024, 3, 1)) == {}
