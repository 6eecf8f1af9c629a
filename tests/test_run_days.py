"""Days that a run is asked for and cannot have."""

from pathlib import Path

import pytest

from tests.commandline import altflow


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--start", "2026-11-20", "--end", "2026-11-18"), "--start 2026-11-20 is after --end 2026-11-18"),
        (("--start", "2026-10-31"), "--start 2026-10-31 is before the first day that is kept, 2026-11-01"),
        (("--end", "2026-10-31"), "the last day, 2026-10-31, is before the first that is kept, 2026-11-01"),
    ],
)
def test_they_are_refused_before_anything_is_asked(arguments: tuple[str, ...], said: str, tmp_path: Path):
    run = altflow("run", "--source", "sandbox", *arguments, data=tmp_path, settings={"START": "2026-11-01"})
    assert (run.returncode, run.stdout) == (2, "")
    assert said in run.stderr and "Traceback" not in run.stderr
    assert not (tmp_path / "published").exists()
