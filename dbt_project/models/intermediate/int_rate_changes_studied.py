def model(dbt, session):
    from orchestration.statistics import rate_changes

    days = dbt.ref("int_group_days_covered").order("flow_group, utc_date")
    rates = dbt.ref("int_macro_vintages_dated").filter("is_newest and value is not null and series_id = 'DFF'")
    return rate_changes.table(
        days.project("flow_group, utc_date, imbalance_ratio, mean_log_return_ratio").fetchnumpy(),
        rates.order("utc_date").project("utc_date, value::double as value").fetchnumpy(),
    )
