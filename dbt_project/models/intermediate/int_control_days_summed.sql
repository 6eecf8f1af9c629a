with days as (select * from {{ ref('int_days_listed') }}),

flows as (select * from {{ ref('int_flow_days_summed') }}),

returns as (select * from {{ ref('int_group_returns_measured') }}),

groups as (select unnest(['ALT', 'BTC', 'ETH', 'STABLE']) as flow_group),

quote_sets as (select unnest(['all', 'usd_pegged']) as quotes),

summed as (
    select
        flows.flow_group,
        quote_sets.quotes,
        flows.utc_date,
        sum(flows.net_taker_usd) as net_taker_usd,
        sum(flows.volume_usd) as volume_usd,
        cast(sum(flows.symbol_count) as bigint) as symbol_count,
        cast(sum(flows.expected_count) as bigint) as expected_count
    from flows
    inner join quote_sets on quote_sets.quotes = 'all' or flows.is_usd_pegged_quote
    group by flows.flow_group, quote_sets.quotes, flows.utc_date
),

-- One row per calendar day, so that the frame counts days and a missing day adds nothing.
rolled as (
    select
        groups.flow_group,
        quote_sets.quotes,
        days.utc_date,
        summed.net_taker_usd,
        summed.volume_usd,
        coalesce(summed.symbol_count, 0) as symbol_count,
        coalesce(summed.expected_count, 0) as expected_count,
        sum(summed.net_taker_usd) over year_so_far as rolling_365d_net_taker_usd,
        sum(summed.volume_usd) over year_so_far as rolling_365d_volume_usd,
        sum(summed.symbol_count) over year_so_far as rolling_365d_symbol_count,
        sum(summed.expected_count) over year_so_far as rolling_365d_expected_count
    from days
    cross join groups
    cross join quote_sets
    left join summed
        on
            groups.flow_group = summed.flow_group
            and quote_sets.quotes = summed.quotes
            and days.utc_date = summed.utc_date
    window year_so_far as (
        partition by groups.flow_group, quote_sets.quotes
        order by days.utc_date range between interval 364 days preceding and current row
    )
),

ratios as (
    select
        *,
        cast(net_taker_usd as double) / nullif(cast(volume_usd as double), 0) as imbalance_ratio,
        cast(rolling_365d_net_taker_usd as double) / nullif(cast(rolling_365d_volume_usd as double), 0)
            as rolling_365d_imbalance_ratio
    from rolled
)

select
    ratios.flow_group,
    ratios.quotes,
    ratios.utc_date,
    ratios.net_taker_usd,
    ratios.volume_usd,
    ratios.imbalance_ratio,
    ratios.rolling_365d_net_taker_usd,
    ratios.rolling_365d_volume_usd,
    ratios.rolling_365d_imbalance_ratio,
    ratios.rolling_365d_imbalance_ratio - bitcoin.rolling_365d_imbalance_ratio as excess_imbalance_ratio,
    returns.return_90d_ratio,
    returns.return_90d_ratio - bitcoin_returns.return_90d_ratio as return_gap_90d_ratio,
    returns.mean_log_return_ratio,
    ratios.symbol_count,
    ratios.symbol_count / nullif(ratios.expected_count, 0) as coverage_ratio,
    cast(ratios.rolling_365d_symbol_count as double) / nullif(cast(ratios.rolling_365d_expected_count as double), 0)
        as rolling_365d_coverage_ratio,
    coalesce(
        max(ratios.symbol_count / nullif(ratios.expected_count, 0))
        filter (where ratios.flow_group = 'ALT')
            over (partition by ratios.quotes, ratios.utc_date)
        >= 0.5,
        false
    ) as is_covered
from ratios
inner join ratios as bitcoin
    on ratios.quotes = bitcoin.quotes and ratios.utc_date = bitcoin.utc_date and bitcoin.flow_group = 'BTC'
left join returns on ratios.flow_group = returns.flow_group and ratios.utc_date = returns.utc_date
left join returns as bitcoin_returns
    on ratios.utc_date = bitcoin_returns.utc_date and bitcoin_returns.flow_group = 'BTC'
