def model(dbt, session):
    from orchestration.statistics import changed, random_signs

    dbt.config(materialized="incremental")
    dbt.ref("int_days_changed")
    flows = dbt.ref("daily_asset_flows").filter("flow_group = 'ALT'")
    if dbt.is_incremental:
        flows = flows.filter(changed.days())
    flows = flows.order("utc_date, base_asset")
    return random_signs.table(flows.project("utc_date, net_taker_usd::double as net_taker_usd").fetchnumpy())
