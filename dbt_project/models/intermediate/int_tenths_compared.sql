with spreads as (select * from {{ ref('daily_quality_spread') }}),

dispersions as (select * from {{ ref('daily_market_dispersion') }})

select
    spreads.utc_date,
    spreads.return_spread_ratio as return_spread,
    dispersions.cross_section_return_ratio as return_deviation,
    spreads.altcoin_count
from spreads
inner join dispersions on spreads.utc_date = dispersions.utc_date
