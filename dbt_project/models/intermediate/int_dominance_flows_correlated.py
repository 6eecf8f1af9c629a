def model(dbt, session):
    from orchestration.statistics import dominance

    days = dbt.ref("int_group_days_covered").order("flow_group, utc_date")
    columns = "flow_group, utc_date, net_taker_usd::double as net_taker_usd, volume_usd::double as volume_usd"
    shares = dbt.ref("daily_dominance").filter("definition_id in ('cap_all', 'cap_ex_stable', 'spot_volume')")
    share = "definition_id, utc_date, covered_btc_share_ratio as btc_share, is_coin_set_changed"
    return dominance.table(
        days.project(columns).fetchnumpy(), shares.order("definition_id, utc_date").project(share).fetchnumpy()
    )
