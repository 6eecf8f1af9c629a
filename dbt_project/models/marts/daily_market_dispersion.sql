with markets as (select * from {{ ref('int_altcoin_markets_summed') }}),

comovements as (select * from {{ ref('int_comovement_measured') }})

select
    markets.utc_date,
    markets.cross_section_return_ratio,
    markets.weighted_return_ratio,
    markets.falling_share_ratio,
    markets.net_sold_share_ratio,
    markets.at_90d_low_share_ratio,
    markets.return_count,
    comovements.average_correlation as average_correlation_90d_ratio,
    comovements.first_component_share as first_component_share_90d_ratio,
    comovements.asset_count as correlated_asset_count,
    markets.is_covered
from markets
left join comovements on markets.utc_date = comovements.utc_date
