{{ config(materialized="incremental", meta={"reach_days": "onward"}) }}
-- depends_on: {{ ref('int_days_changed') }}
with windows as (
    select * from {{ ref('int_asset_windows_measured') }}
    where flow_group = 'ALT' {% if is_incremental() %}and utc_date >= {{ first_day_changed(1) }}{% endif %}
),

-- How long a coin had been recovering before the first day that is built.
carried as (
    {% if is_incremental() -%}
        select
            base_asset,
            utc_date,
            recovering_days
        from {{ this }}
        where utc_date = {{ first_day_changed(1) }}
    {%- else -%}
        select
            null as base_asset,
            null as utc_date,
            null as recovering_days
        where false
    {%- endif %}
),

bitcoin as (
    select
        utc_date,
        return_90d_ratio as btc_return_90d_ratio
    from {{ ref('int_asset_windows_measured') }}
    where base_asset = 'BTC'
),

-- Of all altcoins of the window, those that are gone by now included.
totals as (
    select
        utc_date,
        sum(volume_usd) over days_30 as alt_volume_30d_usd,
        sum(volume_usd) over days_90 as alt_volume_90d_usd,
        sum(symbol_count) over days_90 / nullif(sum(expected_count) over days_90, 0) as alt_coverage_90d_ratio
    from {{ ref('int_universe_days_summed') }}
    where universe = 'ex_btc_eth' and quotes = 'all' and trust = 'all'
    window
        days_30 as (order by utc_date range between interval 29 days preceding and current row),
        days_90 as (order by utc_date range between interval 89 days preceding and current row)
),

measured as (
    select
        windows.base_asset,
        windows.utc_date,
        windows.net_taker_90d_usd,
        windows.return_90d_ratio,
        bitcoin.btc_return_90d_ratio,
        windows.observed_90d_days,
        totals.alt_coverage_90d_ratio,
        cast(windows.volume_30d_usd as double) / nullif(cast(totals.alt_volume_30d_usd as double), 0)
            as volume_share_30d_ratio,
        cast(windows.volume_90d_usd as double) / nullif(cast(totals.alt_volume_90d_usd as double), 0)
            as volume_share_90d_ratio
    from windows
    inner join totals on windows.utc_date = totals.utc_date
    left join bitcoin on windows.utc_date = bitcoin.utc_date
),

-- 86 of 90 days are the coverage of 0.95 that windows need everywhere.
judged as (
    select
        *,
        case when observed_90d_days >= 86 then net_taker_90d_usd > 0 end as is_net_bought,
        return_90d_ratio > btc_return_90d_ratio as is_beating_btc,
        case
            when observed_90d_days >= 86 and alt_coverage_90d_ratio >= 0.95
                then volume_share_30d_ratio > volume_share_90d_ratio
        end as is_share_rising,
        is_net_bought and is_beating_btc and is_share_rising as is_recovering
    from measured
),

marked as (
    select
        judged.*,
        case
            when carried.recovering_days > 0 then judged.utc_date - cast(carried.recovering_days as integer) + 1
            when
                judged.is_recovering
                and not coalesce(
                    lag(judged.is_recovering) over asset_days
                    and lag(judged.utc_date) over asset_days = judged.utc_date - 1,
                    false
                )
                then judged.utc_date
        end as start_date
    from judged
    left join carried on judged.base_asset = carried.base_asset and judged.utc_date = carried.utc_date
    window asset_days as (partition by judged.base_asset order by judged.utc_date)
),

lasting as (
    select
        *,
        case
            when is_recovering
                then utc_date - max(start_date) over (
                    partition by base_asset order by utc_date rows unbounded preceding
                ) + 1
            when is_recovering is not null then 0
        end as recovering_days
    from marked
)

select
    base_asset,
    utc_date,
    case when observed_90d_days >= 86 then net_taker_90d_usd end as window_90d_net_taker_usd,
    return_90d_ratio,
    return_90d_ratio - btc_return_90d_ratio as excess_return_90d_ratio,
    case when alt_coverage_90d_ratio >= 0.95 then volume_share_30d_ratio end as volume_share_30d_ratio,
    case when alt_coverage_90d_ratio >= 0.95 and observed_90d_days >= 86 then volume_share_90d_ratio end
        as volume_share_90d_ratio,
    is_net_bought,
    is_beating_btc,
    is_share_rising,
    is_recovering,
    recovering_days,
    recovering_days >= 60 as is_persistent,
    cast(is_net_bought as bigint) + cast(is_beating_btc as bigint) + cast(is_share_rising as bigint)
    + cast(recovering_days >= 60 as bigint) as score_count
from lasting
{% if is_incremental() %}where utc_date >= {{ first_day_changed() }}{% endif %}
