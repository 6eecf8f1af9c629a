"""All claims of the register, each with its rule and its query."""

from orchestration.brief.parts import Note, Register, Section, Sentence
from orchestration.brief.snapshot import Snapshot

COUNTED = """
select
    count(*) as claim_count,
    count(*) filter (where verdict = 'supported') as supported_count,
    count(*) filter (where verdict = 'partly') as partly_count,
    count(*) filter (where verdict = 'contradicted') as contradicted_count,
    count(*) filter (where verdict = 'no data') as no_data_count,
    count(*) filter (where verdict in ('not comparable', 'not measurable')) as other_count
from claims
"""


def section(snapshot: Snapshot) -> Section:
    return Section(
        "verdicts",
        "Verdicts on everything that is said",
        (
            Sentence(
                "verdicts",
                COUNTED,
                "Of {claim_count:count} sentences {supported_count:count} are supported, {partly_count:count} partly, "
                "{contradicted_count:count} contradicted; {no_data_count:count} lack data, and {other_count:count} "
                "cannot be compared or measured.",
                ("claim_count",),
            ),
            Note("Each verdict follows from its value by a rule that is part of the query. Run it, and refute it."),
            Register(),
        ),
    )
