def model(dbt, session):
    from orchestration.statistics import null_tests

    days = dbt.ref("int_group_days_covered").order("flow_group, utc_date")
    columns = "flow_group, utc_date, net_taker_usd::double as net_taker_usd, volume_usd::double as volume_usd"
    return null_tests.table(days.project(columns).fetchnumpy())
