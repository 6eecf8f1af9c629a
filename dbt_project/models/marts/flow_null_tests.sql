with drawn as (select * from {{ ref('int_flow_nulls_drawn') }})

select
    statistic,
    case flow_group
        when 'ALT' then 'rolling_365d.ex_btc_eth.all.all'
        when 'BTC' then 'rolling_365d.btc.all.all'
        else 'rolling_365d.eth.all.all'
    end as definition_id,
    null_hypothesis,
    block_days,
    flow_group,
    first_date,
    last_date,
    observed_value,
    threshold_value,
    null_p05_value,
    null_p50_value,
    null_p95_value,
    p_value,
    path_count,
    seed
from drawn
