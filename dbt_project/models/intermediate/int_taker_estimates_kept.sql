with estimates as (select * from {{ ref('stg_taker_estimates') }}),

flows as (select * from {{ ref('stg_spot_flows') }})

-- By the day, not by the asset: what nobody traded has no row in a day that is there.
select estimates.*
from estimates
anti join flows
    on
        estimates.exchange = flows.exchange
        and estimates.utc_date = flows.utc_date
