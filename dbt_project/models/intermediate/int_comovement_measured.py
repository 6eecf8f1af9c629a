# A window holds 90 days, and a return the day before.
REACH_DAYS = 90


def model(dbt, session):
    from orchestration.statistics import changed, comovement

    dbt.config(materialized="incremental", meta={"reach_days": 90})
    dbt.ref("int_days_changed")
    altcoins = dbt.ref("int_altcoin_days_windowed").filter("return_ratio > -1")
    if dbt.is_incremental:
        altcoins = altcoins.filter(changed.since(REACH_DAYS))
    altcoins = altcoins.order("base_asset, utc_date")
    columns = "base_asset, utc_date, ln(1 + return_ratio) as log_return"
    measured = comovement.table(altcoins.project(columns).fetchnumpy())
    if not dbt.is_incremental:
        return measured
    return session.from_arrow(measured).filter(changed.days(REACH_DAYS))
