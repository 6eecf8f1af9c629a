"""`quality.dq_rolling_differences`: a window moves by the day that enters less the day that leaves."""

from orchestration.expectations.suite import WARNING, between, not_null, table_suite

SUITE = table_suite(
    "quality_dq_rolling_differences",
    "One row per definition_id. Days on which roll365[t] - roll365[t-1] was compared with net[t] - net[t-365].",
    ("definition_id", "checked_count", "violation_count"),
    ("definition_id",),
    not_null("violation_count", "What was not counted was not checked.", check="R25"),
    between("violation_count", 0, 0, "roll365[t] - roll365[t-1] = net[t] - net[t-365], exactly.", check="R25"),
    between(
        "checked_count",
        1,
        None,
        "A definition without two neighbouring days was not checked.",
        severity=WARNING,
        check="R25",
    ),
)
