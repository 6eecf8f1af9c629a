-- sentence: The deficit is the difference between what takers bought and what takers sold.
-- unit: ratio
-- rule: value is the share of asset-quarters (altcoins, Bitcoin, Ether, at least 60 days) in which daily log return and
--   imbalance correlate above 0: prices rise on days when takers buy. Supported where that is at least 0.9 and net flow
--   is taker buys less taker sells in every row; contradicted below 0.5, where a sign would be turned round, or where a
--   row differs; else partly. A maker's figure of the same trades is the same number with the opposite sign.
with quarters as (
    select
        flow_group,
        date_trunc('quarter', utc_date) as quarter_date,
        corr(case when return_ratio > -1 then ln(1 + return_ratio) end, imbalance_ratio) as correlation_ratio
    from daily_asset_flows
    where flow_group in ('ALT', 'BTC', 'ETH')
    group by base_asset, flow_group, quarter_date
    having count(case when imbalance_ratio is not null then return_ratio end) >= 60
),

shares as (
    select
        count(*) as quarter_count,
        avg(case when correlation_ratio > 0 then 1 else 0 end) as positive_ratio,
        avg(case when correlation_ratio > 0 then 1 else 0 end) filter (where flow_group = 'BTC') as btc_positive_ratio,
        median(correlation_ratio) as median_ratio
    from quarters
    where not isnan(correlation_ratio)
),

rows_read as (
    select
        max(utc_date) as utc_date,
        count(*) as row_count,
        count(*) filter (where net_taker_usd != taker_buy_usd - taker_sell_usd) as differing_count
    from daily_asset_flows
)

select
    case when shares.quarter_count > 0 then rows_read.utc_date end as utc_date,
    shares.positive_ratio as value,
    shares.btc_positive_ratio as control_value,
    null as p_value,
    case
        when shares.quarter_count = 0 then 'no data'
        when rows_read.differing_count > 0 or shares.positive_ratio < 0.5 then 'contradicted'
        when shares.positive_ratio >= 0.9 then 'supported'
        else 'partly'
    end as verdict,
    case
        when shares.quarter_count = 0 then 'no asset has sixty days with return and flow in one quarter'
        else format(
            'return and imbalance correlate above 0 in {:.3f} of {} asset-quarters (median {:.2f}); net = buys - sells '
            || 'in all but {} of {} asset-days; counted for makers the sign is the opposite',
            shares.positive_ratio, shares.quarter_count, shares.median_ratio, rows_read.differing_count,
            rows_read.row_count
        )
    end as evidence
from rows_read
cross join shares
