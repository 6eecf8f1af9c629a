"""What dbt's process begins with in a new data folder."""

from pathlib import Path

import pytest

from orchestration import builder


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `make setup` has read."""
    path = tmp_path / "project" / builder.PARSED
    path.parent.mkdir(parents=True)
    path.write_bytes(b"read by setup")
    monkeypatch.setattr(builder, "PROJECT", tmp_path / "project")
    return path


def test_a_new_folder_takes_over_what_setup_read_and_an_old_one_keeps_its_own(known: Path, tmp_path: Path):
    parsed = tmp_path / "data" / "dbt" / builder.PARSED
    builder._take_over_what_setup_read(parsed)
    assert parsed.read_bytes() == b"read by setup"
    parsed.write_bytes(b"read by a run")
    builder._take_over_what_setup_read(parsed)
    assert parsed.read_bytes() == b"read by a run"
    assert [path.name for path in parsed.parent.iterdir()] == [parsed.name]


def test_a_folder_that_takes_nothing_is_for_the_run_to_tell_of(known: Path, tmp_path: Path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(builder.shutil, "copyfile", full)
    parsed = tmp_path / "data" / "dbt" / builder.PARSED
    builder._take_over_what_setup_read(parsed)
    assert not parsed.exists()


def test_without_a_setup_dbt_reads_the_project_itself(known: Path, tmp_path: Path):
    known.unlink()
    parsed = tmp_path / "data" / "dbt" / builder.PARSED
    builder._take_over_what_setup_read(parsed)
    assert not parsed.exists()
