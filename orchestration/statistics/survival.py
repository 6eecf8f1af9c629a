"""How long altcoins stay listed: Kaplan and Meier 1958, with Greenwood's variance and Nelson's and Aalen's hazard.

Lives that are still going on, or that nobody watched to their end, are censored: they count as long as they were
seen. The interval is that of log(-log S), which stays within 0 and 1.
"""

import numpy as np
import pyarrow as pa

EVENTS = ("delisted", "dormant")
POOLED = "all"
UNKNOWN_AGE = "before_recording"
Z_95 = 1.959963984540054

SCHEMA = pa.schema(
    [
        ("cohort", pa.string()),
        ("age_days", pa.int64()),
        ("at_risk_count", pa.int64()),
        ("event_count", pa.int64()),
        ("censored_count", pa.int64()),
        ("survival_ratio", pa.float64()),
        ("survival_low_ratio", pa.float64()),
        ("survival_high_ratio", pa.float64()),
        ("cumulative_hazard_ratio", pa.float64()),
    ]
)


def table(lives: dict[str, np.ndarray]) -> pa.Table:
    """Curves of every cohort and of all whose listing is known. `lives`: cohort, age_days, life_status."""
    cohorts = np.asarray(lives["cohort"], dtype=str)
    ages = np.asarray(lives["age_days"], dtype=np.int64)
    ended = np.isin(np.asarray(lives["life_status"], dtype=str), EVENTS)
    named = {cohort: cohorts == cohort for cohort in sorted(set(cohorts.tolist()))}
    named[POOLED] = cohorts != UNKNOWN_AGE
    rows = [{"cohort": cohort, **row} for cohort, chosen in named.items() for row in curve(ages[chosen], ended[chosen])]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def curve(ages: np.ndarray, ended: np.ndarray) -> list[dict[str, int | float | None]]:
    """A row for age 0 and for every age at which a life ended or was last seen. Who is censored at the age of another's
    end is at risk for it."""
    if not len(ages):
        return []
    steps, at_step = np.unique(ages, return_inverse=True)
    events = np.bincount(at_step, weights=ended).astype(np.int64)
    gone = np.bincount(at_step)
    at_risk = len(ages) - np.cumsum(gone) + gone
    survival = np.cumprod(1 - events / at_risk)
    hazard = np.cumsum(events / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Where all at risk end, S is 0 and has no interval.
        variance = np.cumsum(events / (at_risk * (at_risk - events).astype(float)))
        spread = np.exp(Z_95 * np.sqrt(variance) / np.abs(np.log(survival)))
        low, high = survival**spread, survival ** (1 / spread)
    inside = (survival > 0) & (survival < 1)
    rows = [row(0, len(ages), 0, 0, 1.0, None, None, 0.0)]
    for i, step in enumerate(steps):
        bounds = (float(low[i]), float(high[i])) if inside[i] else (None, None)
        censored = int(gone[i] - events[i])
        rows.append(
            row(int(step), int(at_risk[i]), int(events[i]), censored, float(survival[i]), *bounds, float(hazard[i]))
        )
    return rows


def row(age, at_risk, events, censored, survival, low, high, hazard) -> dict[str, int | float | None]:
    return dict(zip(SCHEMA.names[1:], (age, at_risk, events, censored, survival, low, high, hazard), strict=True))
