def model(dbt, session):
    from orchestration.statistics import survival

    lives = dbt.ref("int_altcoin_lives_measured").order("base_asset, era_date")
    return survival.table(lives.project("cohort, age_days, life_status").fetchnumpy())
