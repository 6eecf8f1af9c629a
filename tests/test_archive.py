"""The archive: bodies come back as they went in, damage is named, a killed run harms nothing."""

import hashlib
import json
import shutil
import struct
import subprocess
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from orchestration import archive_check
from orchestration.archive import Archive, ArchiveError, Asked, Entry
from orchestration.archive_check import Pack
from orchestration.commands import verify_archive
from orchestration.sources.body import Body, Window

WINDOW = Window(date(2026, 3, 1), date(2026, 3, 8))
NOON = datetime(2026, 3, 8, 12, 0, 0, 123456)


def body(content: bytes, upstream: str = "binance", at: datetime = NOON, **context: str) -> Body:
    return Body(upstream, "spot_flows", f"https://{upstream}.example/k?a=1&b=ü", 200, at, content, context)


def asked(scope: str = "SOLUSDT", page: int = 0, pages: int = 1, batch: int = 1) -> Asked:
    return Asked(scope, WINDOW, page, pages, batch)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


def fill(archive: Archive, count: int = 3, run_id: str = "run-1", **options) -> list[Entry]:
    """`count` bodies of different sizes, on disk."""
    bodies = [body(json.dumps([[n, "é"] * 50 * (n + 1)]).encode(), **options) for n in range(count)]
    entries = [archive.append(each, asked(f"S{n}"), run_id) for n, each in enumerate(bodies)]
    archive.sync()
    archive.close()
    return entries


def read(archive: Archive, entry: Entry) -> bytes:
    return archive.read(entry.pack, entry.offset, entry.length, len(entry.body.content), entry.body.sha256)


def test_what_goes_in_comes_out(archive: Archive):
    first = archive.append(body(b'[1,"\xff\x00"]', symbol="SOLUSDT", now="2026-03-08T12:00:00"), asked(), "run-1")
    second = archive.append(body(b"[]"), asked("BTCUSDT", 1, 3, 7), "run-1")
    archive.sync()
    assert read(archive, first) == b'[1,"\xff\x00"]'
    assert list(archive.entries()) == [first, second], "context, question, url and time included"
    assert first.pack == second.pack == "binance/2026-03/run-1.pack"


def test_synced_bodies_are_on_disk_before_the_pack_is_closed(archive: Archive):
    entry = archive.append(body(b"[1]"), asked(), "run-1")
    archive.sync()
    assert read(Archive(archive.root), entry) == b"[1]"


def test_a_pack_goes_on_where_it_ended(archive: Archive):
    first = fill(archive, 2)
    second = fill(archive, 2)
    assert [read(archive, entry) for entry in second] == [entry.body.content for entry in second]
    assert list(archive.entries()) == first + second


def test_one_pack_per_run_upstream_and_month(archive: Archive):
    archive.append(body(b"[1]"), asked(), "run-1")
    archive.append(body(b"[2]", upstream="fred"), asked(), "run-1")
    archive.append(body(b"[3]", at=datetime(2026, 4, 1)), asked(), "run-1")
    archive.append(body(b"[4]"), asked(), "run-2")
    archive.close()
    assert sorted(str(path.relative_to(archive.root)) for path in archive.root.rglob("*.pack")) == [
        "binance/2026-03/run-1.pack",
        "binance/2026-03/run-2.pack",
        "binance/2026-04/run-1.pack",
        "fred/2026-03/run-1.pack",
    ]


def test_entries_come_in_the_order_of_fetching_whatever_the_runs_are_called(archive: Archive):
    for hours, run_id in ((2, "a"), (0, "c"), (1, "b")):
        fill(archive, 2, run_id, at=NOON + timedelta(hours=hours))
    fill(archive, 1, "a", at=NOON + timedelta(days=40))
    assert [Path(e.pack).stem for e in archive.entries()] == ["c", "c", "b", "b", "a", "a", "a"]


def test_two_upstreams_do_not_mix(archive: Archive):
    for n in range(3):
        archive.append(body(b"[%d]" % n, at=NOON + timedelta(seconds=2 * n)), asked(), "run-1")
        archive.append(body(b"{%d}" % n, upstream="fred", at=NOON + timedelta(seconds=2 * n + 1)), asked(), "run-1")
    archive.sync()
    assert [e.body.content for e in archive.entries()] == [b"[0]", b"[1]", b"[2]", b"{0}", b"{1}", b"{2}"]


def test_the_index_row_is_what_the_body_was(archive: Archive):
    entry = archive.append(body(b"[1]", symbol="SOLUSDT", end="2026-03-08"), asked(), "run-1")
    row = entry.row()
    assert row["body_sha256"] == hashlib.sha256(b"[1]").hexdigest()
    assert json.loads(row["context"]) == {"symbol": "SOLUSDT", "end": "2026-03-08"}
    assert (row["byte_count"], row["status"], row["fetched_at"]) == (3, 200, NOON)


# --- damage


def test_another_body_at_that_place_is_named(archive: Archive):
    first, second, _ = fill(archive)
    with pytest.raises(ArchiveError, match=f"at {first.offset}: not the body {second.body.sha256}; restore"):
        archive.read(first.pack, first.offset, first.length, len(first.body.content), second.body.sha256)


def test_a_changed_byte_is_named_by_pack_and_offset(archive: Archive):
    _, second, _ = fill(archive)
    path = archive.root / second.pack
    data = bytearray(path.read_bytes())
    data[second.offset + second.length // 2] ^= 0xFF
    path.write_bytes(data)
    for attempt in (lambda: read(archive, second), lambda: list(archive.entries())):
        with pytest.raises(ArchiveError, match=rf"run-1\.pack at {second.offset}: .*restore the pack from a backup"):
            attempt()


def test_a_pack_that_is_gone_is_named(archive: Archive):
    entry = fill(archive, 1)[0]
    (archive.root / entry.pack).unlink()
    with pytest.raises(ArchiveError, match=r"run-1\.pack at \d+: unreadable"):
        read(archive, entry)


@pytest.mark.parametrize("what", ["magic", "card"])
def test_damage_in_the_middle_is_not_taken_for_the_end(what: str, archive: Archive):
    first, second, _ = fill(archive)
    path = archive.root / first.pack
    data = bytearray(path.read_bytes())
    at = first.offset + first.length + (0 if what == "magic" else 8)
    data[at : at + 4] = b"\x01\x02\x03\x04"
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match=rf"run-1\.pack at {first.offset + first.length}: "):
        list(archive.entries())
    assert read(archive, second) == second.body.content, "the index still finds what is whole"


def test_every_torn_end_is_left_out(archive: Archive):
    entries = fill(archive, 3)
    path = archive.root / entries[0].pack
    data = path.read_bytes()
    whole_until = [entry.offset + entry.length for entry in entries]
    for length in range(0, len(data)):
        path.write_bytes(data[:length])
        assert list(archive.entries()) == [e for e, end in zip(entries, whole_until, strict=True) if end <= length]


def test_zeros_that_a_power_cut_leaves_are_a_torn_end(archive: Archive):
    entries = fill(archive)
    path = archive.root / entries[0].pack
    path.write_bytes(path.read_bytes() + b"\0" * 4096)
    assert list(archive.entries()) == entries


def test_a_damaged_beginning_is_met_and_named(archive: Archive):
    entries = fill(archive)
    path = archive.root / entries[0].pack
    path.write_bytes(b"garbage " * 4 + path.read_bytes())
    with pytest.raises(ArchiveError, match=r"run-1\.pack at 0: no card"):
        list(archive.entries())


def test_an_empty_archive_has_no_entries(archive: Archive):
    assert list(archive.entries()) == []
    (archive.root / "binance/2026-03").mkdir(parents=True)
    (archive.root / "binance/2026-03/run-1.pack").touch()
    assert list(archive.entries()) == []


# --- readable without altflow


def test_a_pack_is_plain_zstd_with_skippable_frames(archive: Archive):
    """Told by the zstd format (RFC 8878): frame magic 0xFD2FB528, skippable frames 0x184D2A5?."""
    entries = fill(archive)
    data = (archive.root / entries[0].pack).read_bytes()
    at = 0
    for entry in entries:
        magic, length = struct.unpack_from("<II", data, at)
        assert magic == 0x184D2A50
        card = json.loads(data[at + 8 : at + 8 + length])
        assert card["sha256"] == entry.body.sha256 and card["url"] == entry.body.url
        assert (card["scope"], card["window"]) == (entry.asked.scope, ["2026-03-01", "2026-03-08"])
        at += 8 + length
        assert (at, struct.unpack_from("<I", data, at)[0]) == (entry.offset, 0xFD2FB528)
        at += card["length"]
    assert at == len(data)


def test_a_stream_decoder_that_knows_nothing_of_cards_reads_the_bodies(archive: Archive):
    entries = fill(archive)
    path = archive.root / entries[0].pack
    bodies = b"".join(entry.body.content for entry in entries)
    with pa.OSFile(str(path)) as file, pa.CompressedInputStream(file, "zstd") as stream:
        assert stream.read() == bodies
    if shutil.which("zstd"):
        assert subprocess.run(["zstd", "-dcq", str(path)], capture_output=True, check=True).stdout == bodies


# --- altflow doctor --verify-archive


def index_of(*entries: Entry) -> pa.Table:
    return pa.Table.from_pylist([entry.row() for entry in entries])


def checked(archive: Archive, *entries: Entry) -> list[Pack]:
    calls = []
    packs = archive_check.check(archive, index_of(*entries), lambda *call: calls.append(call))
    assert calls[-1] == ("packs", len(packs), len(packs))
    return packs


def test_a_whole_archive_is_told_with_its_sizes(archive: Archive):
    first, second = fill(archive), fill(archive, run_id="run-2", upstream="fred")
    packs = checked(archive, *first, *second)
    assert [(pack.folder, pack.body_count, pack.is_whole) for pack in packs] == [
        (("binance", "2026-03"), 3, True),
        (("fred", "2026-03"), 3, True),
    ]
    assert packs[0].byte_count == (archive.root / packs[0].name).stat().st_size
    assert packs[0].unpacked_count == sum(len(entry.body.content) for entry in first)
    lines = verify_archive.sizes(packs)
    assert [line.split()[:2] for line in lines[1:]] == [["binance", "2026-03"], ["fred", "2026-03"], ["all", "6"]]
    assert verify_archive.findings(packs) == ["ok    every body is whole: 6 in 2 packs"]


def test_a_flipped_bit_is_one_broken_body_and_the_others_are_found_behind_it(archive: Archive):
    entries = fill(archive, 5)
    path = archive.root / entries[0].pack
    content = bytearray(path.read_bytes())
    content[entries[1].offset + entries[1].length // 2] ^= 1
    path.write_bytes(content)
    (pack,) = checked(archive, *entries)
    assert (pack.body_count, len(pack.broken), pack.missing_count) == (4, 1, 0) and not pack.is_whole
    assert "1 bodies broken" in verify_archive.findings([pack])[0]


def test_a_damaged_card_loses_no_body(archive: Archive):
    entries = fill(archive, 3)
    path = archive.root / entries[0].pack
    content = bytearray(path.read_bytes())
    content[entries[0].offset + entries[0].length] ^= 1
    path.write_bytes(content)
    (pack,) = checked(archive, *entries)
    assert (pack.body_count, pack.broken, pack.missing_count) == (3, [], 0)
    assert not pack.is_whole and "no card where one should be" in verify_archive.findings([pack])[0]


def test_what_is_cut_off_or_gone_is_missing(archive: Archive):
    first, second = fill(archive), fill(archive, run_id="run-2", upstream="fred")
    path = archive.root / first[0].pack
    path.write_bytes(path.read_bytes()[: first[2].offset + 1])
    (archive.root / second[0].pack).unlink()
    packs = checked(archive, *first, *second)
    assert [(pack.body_count, pack.missing_count) for pack in packs] == [(2, 1), (0, 3)]
    assert ["missing; restore the pack" in line for line in verify_archive.findings(packs)] == [True, True]


def test_what_no_row_cites_is_named_and_is_no_failure(archive: Archive):
    """A run that was killed leaves bodies; what came twice is cited where it first lies."""
    entries = fill(archive)
    repeated = archive.append(entries[0].body, asked(), "run-2")
    archive.append(body(b"[9]"), asked(), "run-2")
    archive.sync()
    archive.close()
    packs = checked(archive, *entries)
    assert [(pack.body_count, pack.orphan_count, pack.is_whole) for pack in packs] == [(3, 0, True), (2, 1, True)]
    assert repeated.pack == packs[1].name
    note, ok = verify_archive.findings(packs)
    assert note.startswith("note") and "1 bodies that no row cites" in note and ok.startswith("ok")
