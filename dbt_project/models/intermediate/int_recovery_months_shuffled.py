def model(dbt, session):
    from orchestration.statistics import recovery

    months = dbt.ref("int_altcoin_months_summed").order("base_asset, month_number desc")
    columns = "base_asset, month_number, net_taker_usd::double as net_taker_usd, volume_usd::double as volume_usd"
    more = "altcoin_volume_usd::double as altcoin_volume_usd, excess_log_return_ratio"
    return recovery.table(months.project(f"{columns}, {more}").fetchnumpy())
