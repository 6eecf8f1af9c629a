"""What public data without a key cannot tell."""

from orchestration.brief.parts import Note, Section
from orchestration.brief.snapshot import Snapshot


def section(snapshot: Snapshot) -> Section:
    return Section(
        "unmeasured",
        "What cannot be measured",
        (
            Note(
                "Not in public data without a key, and so told by nobody here: <strong>who holds a coin</strong>; "
                "trades <strong>over the counter</strong>; <strong>reserves of exchanges</strong>; <strong>who is an "
                "institution</strong>, beyond the size of trades; <strong>why</strong> an exchange or a project "
                "closed; the cost of living; and <strong>anything about tomorrow</strong>."
            ),
            Note(
                "Not in these numbers either: the exchanges that are not covered. The flow of some venues is theirs, "
                "not the market's, and no number here is another vendor's. A gap is never filled: no data is no data, "
                "and 0 is a zero that somebody reported."
            ),
        ),
        (34, 43),
    )
