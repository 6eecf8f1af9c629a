def model(dbt, session):
    from orchestration.statistics import markets

    days = dbt.ref("int_group_days_covered").order("flow_group, utc_date")
    columns = "flow_group, net_taker_usd::double as net_taker_usd, volume_usd::double as volume_usd, imbalance_ratio"
    tenths = dbt.ref("int_tenths_compared").order("utc_date")
    return markets.table(
        days.project(f"{columns}, mean_log_return_ratio").fetchnumpy(),
        tenths.project("return_spread, return_deviation, altcoin_count::double as altcoin_count").fetchnumpy(),
    )
