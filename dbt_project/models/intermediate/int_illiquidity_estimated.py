REACH_DAYS = 180


def model(dbt, session):
    from orchestration.statistics import changed, illiquidity

    dbt.config(materialized="incremental", meta={"reach_days": 180})
    dbt.ref("int_days_changed")
    bars = dbt.ref("int_asset_bars_chosen")
    if dbt.is_incremental:
        bars = bars.filter(changed.since(REACH_DAYS))
    columns = "base_asset, utc_date, return_ratio, net_billions, open_price, high_price, low_price, close_price"
    columns = f"{columns}, has_bar_before::double as has_bar_before"
    estimates = illiquidity.table(bars.order("base_asset, utc_date").project(columns).fetchnumpy())
    if not dbt.is_incremental:
        return estimates
    return session.from_arrow(estimates).filter(changed.days(REACH_DAYS))
