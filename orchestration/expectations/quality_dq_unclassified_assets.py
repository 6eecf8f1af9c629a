"""`quality.dq_unclassified_assets`: what counts as an altcoin only because nobody has said what it is."""

from orchestration.expectations.suite import WARNING, Suite, between, not_null, one_of

NEW_DAYS = 30

# No row at all is what is wanted, so an empty relation is no finding.
SUITE = Suite(
    "quality_dq_unclassified_assets",
    "One row per base asset that traded and that neither the seed asset_classification nor a rule names.",
    ("base_asset", "known_days", "is_near_dollar"),
    ("base_asset",),
    (
        not_null("base_asset", "base_asset is part of the grain."),
        one_of(
            "is_near_dollar",
            [False],
            "Priced at one US dollar: a stablecoin among the altcoins? Name it in the seed asset_classification.",
            severity=WARNING,
        ),
        between(
            "known_days",
            NEW_DAYS,
            None,
            "Traded for less than a month and unnamed: say in the seed asset_classification what it is.",
            severity=WARNING,
        ),
    ),
)
