def model(dbt, session):
    from orchestration.statistics import macro_correlations

    days = dbt.ref("int_group_days_covered").order("flow_group, utc_date")
    columns = "flow_group, utc_date, net_taker_usd::double as net_taker_usd, volume_usd::double as volume_usd"
    newest = dbt.ref("int_macro_vintages_dated").filter("is_newest and value is not null").order("series_id, utc_date")
    macro = newest.project("series_id, utc_date, value::double as value")
    return macro_correlations.table(days.project(columns).fetchnumpy(), macro.fetchnumpy())
