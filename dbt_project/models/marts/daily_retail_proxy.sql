{%- set buckets = ['below_1k', 'from_1k', 'from_10k', 'from_100k'] -%}
with symbols as (
    select * from {{ ref('daily_symbol_flows') }}
    where flow_group in ('ALT', 'BTC', 'ETH', 'STABLE')
),

-- Who does not count trades, has no size of a trade either.
days as (
    select
        flow_group as asset_group,
        utc_date,
        cast(sum(trade_count) as bigint) as trade_count,
        sum(counted_volume_usd) as volume_usd,
        sum(symbol_count) as symbol_count,
        sum(expected_count) as expected_count
    from {{ ref('int_flow_days_summed') }}
    where flow_group in ('ALT', 'BTC', 'ETH', 'STABLE')
    group by flow_group, utc_date
),

sized as (
    select
        symbols.flow_group as asset_group,
        symbols.utc_date,
        {% for bucket in buckets -%}
            cast(sum(sizes.{{ bucket }}_count) as bigint) as {{ bucket }}_count,
            sum(sizes.{{ bucket }}_volume_quote) as {{ bucket }}_volume_usd,
            sum(2 * sizes.{{ bucket }}_taker_buy_quote - sizes.{{ bucket }}_volume_quote) as {{ bucket }}_net_taker_usd,
        {% endfor -%}
        sum(symbols.volume_usd) as sized_volume_usd
    from symbols
    inner join {{ ref('stg_spot_trade_sizes') }} as sizes
        on
            symbols.exchange = sizes.exchange
            and symbols.symbol = sizes.symbol
            and symbols.utc_date = sizes.utc_date
    -- Buckets are cut in dollars, so pairs of other quotes have none.
    where sizes.below_1k_count is not null and symbols.volume_usd is not null
    group by symbols.flow_group, symbols.utc_date
),

windows as (
    select
        *,
        symbol_count / expected_count as coverage_ratio,
        sum(trade_count) over days_365 as window_trade_count,
        sum(volume_usd) over days_365 as window_volume_usd,
        count(trade_count) over days_365 as window_days,
        sum(symbol_count) over days_365 / sum(expected_count) over days_365 as window_coverage_ratio
    from days
    window days_365 as (
        partition by asset_group order by utc_date range between interval 364 days preceding and current row
    )
),

valid as (
    select
        *,
        window_days = 365 and window_coverage_ratio >= 0.95 and coverage_ratio >= 0.5 as is_valid
    from windows
)

select
    valid.asset_group,
    valid.utc_date,
    valid.trade_count,
    valid.volume_usd,
    cast(valid.volume_usd as double) / nullif(valid.trade_count, 0) as mean_trade_usd,
    valid.coverage_ratio,
    valid.window_coverage_ratio,
    case when valid.is_valid then valid.window_trade_count / 365 end as trade_count_365d_mean,
    case when valid.is_valid then valid.trade_count / nullif(valid.window_trade_count / 365, 0) end
        as trade_count_to_mean_ratio,
    case
        when valid.is_valid
            then cast(valid.window_volume_usd as double) / nullif(valid.window_trade_count, 0)
    end as mean_trade_365d_usd,
    {% for bucket in buckets -%}
        sized.{{ bucket }}_count,
        cast(sized.{{ bucket }}_volume_usd as decimal(38, 8)) as {{ bucket }}_volume_usd,
        cast(sized.{{ bucket }}_net_taker_usd as decimal(38, 8)) as {{ bucket }}_net_taker_usd,
    {% endfor -%}
    cast(sized.sized_volume_usd as double) / nullif(cast(valid.volume_usd as double), 0) as sized_volume_share_ratio
from valid
left join sized
    on
        valid.asset_group = sized.asset_group
        and valid.utc_date = sized.utc_date
