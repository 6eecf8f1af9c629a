def model(dbt, session):
    from orchestration.statistics import random_signs

    flows = dbt.ref("daily_asset_flows").filter("flow_group = 'ALT'").order("utc_date, base_asset")
    return random_signs.table(flows.project("utc_date, net_taker_usd::double as net_taker_usd").fetchnumpy())
