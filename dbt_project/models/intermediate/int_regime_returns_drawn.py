def model(dbt, session):
    import numpy as np

    from orchestration.statistics import backtests

    # A day on which few pairs were observed has neither a return nor a signal.
    measured = dbt.ref("int_regime_days_measured").order("utc_date").fetchnumpy()
    flagged = dbt.ref("int_regime_days_flagged").filter("is_published").order("definition_id, utc_date")
    flags = flagged.project("definition_id, is_active::double as is_active, score_count::double as score").fetchnumpy()
    covered = np.asarray(measured["is_covered"], bool)

    def known(values):
        return np.where(covered, np.ma.filled(values, np.nan), np.nan)

    def of(definition, column):
        return known(flags[column][flags["definition_id"] == definition])

    signals = {
        "flow_365d": known(measured["cumulative_net_taker_usd"]),
        "imbalance_30d": known(measured["imbalance_30d_ratio"]),
        "excess_30d": known(measured["excess_30d_ratio"]),
    }
    states = {name: of(name, "is_active") for name in dict.fromkeys(flags["definition_id"]) if name != "exhaustion"}
    score = of("exhaustion", "score")
    states["exhaustion_3_or_4"] = np.where(np.isnan(score), np.nan, score >= 3)
    days = measured["utc_date"].astype("datetime64[D]")
    return backtests.table(days, known(measured["weighted_return_ratio"]), signals, states)
