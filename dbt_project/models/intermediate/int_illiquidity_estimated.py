def model(dbt, session):
    from orchestration.statistics import illiquidity

    bars = dbt.ref("int_asset_bars_chosen").order("base_asset, utc_date")
    columns = "base_asset, utc_date, return_ratio, net_billions, open_price, high_price, low_price, close_price"
    return illiquidity.table(bars.project(f"{columns}, has_bar_before::double as has_bar_before").fetchnumpy())
