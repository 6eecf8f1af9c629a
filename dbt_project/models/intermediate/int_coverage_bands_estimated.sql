-- The part of the reported volume that is not covered gets the imbalance of one more exchange like the covered ones:
-- a prediction interval, mean ± t(V−1, .975)·s·√(1+1/V) of their imbalances over the same window.
with windows as (
    select
        definition_id,
        window_name,
        universe,
        quotes,
        trust,
        utc_date,
        window_start_date,
        window_net_taker_usd,
        is_window_valid,
        utc_date - window_start_date + 1 as day_count
    from {{ ref('int_flow_windows_summed') }}
    where panel = 'all' and universe != 'btc'
),

universes(universe, flow_group) as (values ('ex_btc_eth', 'ALT'), ('ex_btc', 'ALT'), ('ex_btc', 'ETH')),

quote_sets as (select unnest(['all', 'usd_pegged']) as quotes),

trust_sets as (select unnest(['all', 'trusted']) as trust),

-- Student's t at .975 by degrees of freedom; beyond the last it is a little too wide.
quantiles(degree_count, t_quantile) as (
    values
    (2, 4.302652730), (3, 3.182446305), (4, 2.776445105), (5, 2.570581836), (6, 2.446911851), (7, 2.364624252),
    (8, 2.306004135), (9, 2.262157163), (10, 2.228138852), (11, 2.200985160), (12, 2.178812830), (13, 2.160368656),
    (14, 2.144786688), (15, 2.131449546), (16, 2.119905299), (17, 2.109815578), (18, 2.100922040), (19, 2.093024054),
    (20, 2.085963447), (21, 2.079613845), (22, 2.073873068), (23, 2.068657610), (24, 2.063898562), (25, 2.059538553),
    (26, 2.055529439), (27, 2.051830516), (28, 2.048407142), (29, 2.045229642), (30, 2.042272456)
),

exchange_days as (
    select
        universes.universe,
        quote_sets.quotes,
        trust_sets.trust,
        volumes.exchange,
        volumes.utc_date,
        sum(volumes.net_taker_usd) as net_taker_usd,
        sum(volumes.volume_usd) as volume_usd,
        sum(volumes.reported_volume_usd) - coalesce(sum(volumes.volume_usd), 0) as missing_volume_usd,
        coalesce(sum(volumes.volume_usd), 0) > 0 as is_covered
    from {{ ref('int_exchange_volumes_summed') }} as volumes
    inner join universes on volumes.flow_group = universes.flow_group
    inner join quote_sets on quote_sets.quotes = 'all' or volumes.is_usd_pegged_quote
    inner join trust_sets on trust_sets.trust = 'all' or volumes.is_trusted
    group by universes.universe, quote_sets.quotes, trust_sets.trust, volumes.exchange, volumes.utc_date
),

-- Elsewhere there is nothing to estimate, or nothing to estimate it from, whatever the window.
sets as (
    select
        universe,
        quotes,
        trust
    from exchange_days
    group by universe, quotes, trust
    having count(distinct exchange) filter (where is_covered) >= 3 and sum(missing_volume_usd) > 0
),

exchanges as (
    select distinct
        universe,
        quotes,
        trust,
        exchange
    from exchange_days
    inner join sets using (universe, quotes, trust)
),

days as (select distinct utc_date from windows),

-- Every exchange has a row on every day, so that two running totals can be subtracted.
accumulated as (
    select
        exchanges.universe,
        exchanges.quotes,
        exchanges.trust,
        exchanges.exchange,
        days.utc_date,
        coalesce(sum(exchange_days.net_taker_usd) over so_far, 0) as total_net_taker_usd,
        coalesce(sum(exchange_days.volume_usd) over so_far, 0) as total_volume_usd,
        coalesce(sum(exchange_days.missing_volume_usd) over so_far, 0) as total_missing_volume_usd,
        count(*) filter (where exchange_days.is_covered) over so_far as total_covered_days
    from exchanges
    cross join days
    left join exchange_days
        on
            exchanges.universe = exchange_days.universe
            and exchanges.quotes = exchange_days.quotes
            and exchanges.trust = exchange_days.trust
            and exchanges.exchange = exchange_days.exchange
            and days.utc_date = exchange_days.utc_date
    window so_far as (
        partition by exchanges.universe, exchanges.quotes, exchanges.trust, exchanges.exchange
        order by days.utc_date rows unbounded preceding
    )
),

exchange_windows as (
    select
        windows.definition_id,
        windows.utc_date,
        last_days.exchange,
        last_days.total_missing_volume_usd - coalesce(before.total_missing_volume_usd, 0) as missing_volume_usd,
        last_days.total_net_taker_usd - coalesce(before.total_net_taker_usd, 0) as net_taker_usd,
        last_days.total_volume_usd - coalesce(before.total_volume_usd, 0) as volume_usd,
        -- An exchange that is there for a part of the window says nothing of the whole.
        case
            when last_days.total_covered_days - coalesce(before.total_covered_days, 0) >= 0.95 * windows.day_count
                then cast(net_taker_usd as double) / nullif(cast(volume_usd as double), 0)
        end as imbalance_ratio
    from windows
    inner join accumulated as last_days
        on
            windows.universe = last_days.universe
            and windows.quotes = last_days.quotes
            and windows.trust = last_days.trust
            and windows.utc_date = last_days.utc_date
    left join accumulated as before
        on
            windows.universe = before.universe
            and windows.quotes = before.quotes
            and windows.trust = before.trust
            and last_days.exchange = before.exchange
            and windows.window_start_date - 1 = before.utc_date
),

-- In one order, so that the statistics are the same in every run.
measured as (
    select
        definition_id,
        utc_date,
        count(imbalance_ratio) as exchange_count,
        sum(missing_volume_usd) as missing_volume_usd,
        avg(imbalance_ratio order by exchange) as mean_imbalance_ratio,
        stddev_samp(imbalance_ratio order by exchange) as imbalance_deviation_ratio,
        min(imbalance_ratio) as lowest_imbalance_ratio,
        max(imbalance_ratio) as highest_imbalance_ratio
    from exchange_windows
    group by definition_id, utc_date
),

judged as (
    select
        windows.definition_id,
        windows.utc_date,
        windows.window_net_taker_usd,
        measured.exchange_count,
        measured.missing_volume_usd,
        measured.lowest_imbalance_ratio,
        measured.highest_imbalance_ratio,
        measured.mean_imbalance_ratio,
        case
            when not windows.is_window_valid then 'window is not valid'
            when sets.universe is null
                then 'fewer than three exchanges, or no exchange reports volume that is not covered'
            when measured.exchange_count < 3
                then 'fewer than three exchanges are covered on 95 % of the window''s days'
            when measured.missing_volume_usd <= 0 then 'no exchange reports volume that is not covered'
        end as band_reason,
        quantiles.t_quantile * measured.imbalance_deviation_ratio * sqrt(1 + 1.0 / measured.exchange_count)
            as half_width_ratio
    from windows
    left join sets
        on
            windows.universe = sets.universe
            and windows.quotes = sets.quotes
            and windows.trust = sets.trust
    left join measured on windows.definition_id = measured.definition_id and windows.utc_date = measured.utc_date
    asof left join quantiles on measured.exchange_count - 1 >= quantiles.degree_count
)

select
    definition_id,
    utc_date,
    exchange_count as band_exchange_count,
    missing_volume_usd as band_missing_volume_usd,
    {% for column, ratio in [
        ('band_low_usd', 'mean_imbalance_ratio - half_width_ratio'),
        ('band_high_usd', 'mean_imbalance_ratio + half_width_ratio'),
        ('band_range_low_usd', 'lowest_imbalance_ratio'),
        ('band_range_high_usd', 'highest_imbalance_ratio'),
    ] -%}
        case
            when band_reason is null
                then
                    window_net_taker_usd
                    + cast(cast(missing_volume_usd as double) * ({{ ratio }}) as decimal(38, 8))
        end as {{ column }},
    {% endfor -%}
    band_reason
from judged
