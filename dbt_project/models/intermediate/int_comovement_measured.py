def model(dbt, session):
    from orchestration.statistics import comovement

    altcoins = dbt.ref("int_altcoin_days_windowed").filter("return_ratio > -1").order("base_asset, utc_date")
    return comovement.table(altcoins.project("base_asset, utc_date, ln(1 + return_ratio) as log_return").fetchnumpy())
