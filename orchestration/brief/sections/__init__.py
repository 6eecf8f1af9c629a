"""What the brief tells, in this order. A section is a function from the snapshot to its parts: it looks there only to
learn which columns exist."""

from orchestration.brief.parts import Section
from orchestration.brief.sections import (
    chains,
    concentration,
    coverage,
    dictionary,
    dominance,
    flow,
    lead,
    macro,
    perpetuals,
    phases,
    recovery,
    regime,
    season,
    stablecoins,
    unmeasured,
    verdicts,
)
from orchestration.brief.snapshot import Snapshot

ORDER = (
    lead,
    flow,
    phases,
    dominance,
    stablecoins,
    season,
    concentration,
    perpetuals,
    chains,
    regime,
    macro,
    recovery,
    coverage,
    unmeasured,
    verdicts,
    dictionary,
)


def sections(snapshot: Snapshot) -> list[Section]:
    return [module.section(snapshot) for module in ORDER]
