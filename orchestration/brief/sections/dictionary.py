"""Tables and columns of the published file, in the words of its own comments."""

from orchestration.brief.parts import Dictionary, Note, Section
from orchestration.brief.snapshot import Snapshot


def section(snapshot: Snapshot) -> Section:
    return Section(
        "dictionary",
        "Data dictionary",
        (
            Note("Tables of published/marts.duckdb, which every query on this page runs on. Open one for its columns."),
            Dictionary(),
        ),
    )
