def model(dbt, session):
    from orchestration.statistics import controls

    days = dbt.ref("int_control_days_summed").filter("is_covered and flow_group in ('ALT', 'BTC', 'ETH')")
    columns = "flow_group, quotes, utc_date, imbalance_ratio, mean_log_return_ratio"
    return controls.table(days.order("flow_group, quotes, utc_date").project(columns).fetchnumpy())
