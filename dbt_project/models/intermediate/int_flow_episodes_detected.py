def model(dbt, session):
    from orchestration.statistics import episodes

    flows = dbt.ref("int_control_days_summed").filter("quotes = 'all' and flow_group in ('ALT', 'BTC', 'ETH')")
    columns = (
        "flow_group, utc_date, net_taker_usd::double as net_taker_usd, volume_usd::double as volume_usd, is_covered"
    )
    days = flows.order("flow_group, utc_date").project(columns).fetchnumpy()
    covered = dbt.ref("int_group_days_covered").project("utc_date").fetchnumpy()["utc_date"]
    # What comes after the last valid day is the flow of fewer and fewer coins.
    known = days["utc_date"] <= covered.max() if len(covered) else [False] * len(days["utc_date"])
    return episodes.table({name: values[known] for name, values in days.items()})
