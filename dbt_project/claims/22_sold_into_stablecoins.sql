-- sentence: Altcoins are sold into stablecoins, where they used to be sold into Bitcoin.
-- unit: ratio
-- rule: value is the share of pairs against dollar stablecoins in the altcoins' taker sells of 30 days, control (here
--   no Bitcoin group) the same share 365 days before. Supported where that share rose and that of Bitcoin pairs fell,
--   for all pairs and for the pairs that traded at both ends of a year; partly where for all pairs alone; else
--   contradicted. No data where pairs against Bitcoin are not covered at both times.
with newest as (
    select max(utc_date) as utc_date
    from daily_quote_rotation
    where quote_class = 'usd_pegged' and taker_sell_usd is not null
),

sold as (
    select
        sum(cast(days.taker_sell_usd as double)) filter (
            where days.quote_class = 'usd_pegged' and days.utc_date > newest.utc_date - 30
        ) as usd_now,
        sum(cast(days.taker_sell_usd as double)) filter (
            where days.quote_class = 'btc' and days.utc_date > newest.utc_date - 30
        ) as btc_now,
        sum(cast(days.taker_sell_usd as double)) filter (where days.utc_date > newest.utc_date - 30) as all_now,
        sum(cast(days.taker_sell_usd as double)) filter (
            where days.quote_class = 'usd_pegged' and days.utc_date <= newest.utc_date - 365
        ) as usd_then,
        sum(cast(days.taker_sell_usd as double)) filter (
            where days.quote_class = 'btc' and days.utc_date <= newest.utc_date - 365
        ) as btc_then,
        sum(cast(days.taker_sell_usd as double)) filter (where days.utc_date <= newest.utc_date - 365) as all_then,
        sum(cast(days.fixed_taker_sell_usd as double)) filter (
            where days.quote_class = 'usd_pegged' and days.utc_date > newest.utc_date - 30
        ) as fixed_usd_now,
        sum(cast(days.fixed_taker_sell_usd as double)) filter (where days.utc_date > newest.utc_date - 30)
            as fixed_all_now,
        sum(cast(days.fixed_taker_sell_usd as double)) filter (
            where days.quote_class = 'usd_pegged' and days.utc_date <= newest.utc_date - 365
        ) as fixed_usd_then,
        sum(cast(days.fixed_taker_sell_usd as double)) filter (where days.utc_date <= newest.utc_date - 365)
            as fixed_all_then,
        max(days.symbol_count) filter (where days.quote_class = 'btc') as btc_symbol_count,
        max(days.symbol_count) filter (where days.quote_class = 'usd_pegged') as usd_symbol_count,
        arg_max(days.reason, days.utc_date) filter (where days.quote_class = 'btc') as btc_reason
    from newest
    left join daily_quote_rotation as days
        on
            (newest.utc_date - 30 < days.utc_date and newest.utc_date >= days.utc_date)
            or (newest.utc_date - 395 < days.utc_date and newest.utc_date - 365 >= days.utc_date)
),

shares as (
    select
        usd_now / nullif(all_now, 0) as usd_now_ratio,
        usd_then / nullif(all_then, 0) as usd_then_ratio,
        btc_now / nullif(all_now, 0) as btc_now_ratio,
        btc_then / nullif(all_then, 0) as btc_then_ratio,
        fixed_usd_now / nullif(fixed_all_now, 0) as fixed_now_ratio,
        fixed_usd_then / nullif(fixed_all_then, 0) as fixed_then_ratio,
        btc_symbol_count,
        usd_symbol_count,
        btc_reason
    from sold
)

select
    case when shares.btc_now_ratio is not null and shares.btc_then_ratio is not null then newest.utc_date end
        as utc_date,
    case when shares.btc_now_ratio is not null and shares.btc_then_ratio is not null then shares.usd_now_ratio end
        as value,
    case when shares.btc_now_ratio is not null and shares.btc_then_ratio is not null then shares.usd_then_ratio end
        as control_value,
    null as p_value,
    case
        when shares.btc_now_ratio is null or shares.btc_then_ratio is null then 'no data'
        when shares.usd_now_ratio <= shares.usd_then_ratio or shares.btc_now_ratio >= shares.btc_then_ratio
            then 'contradicted'
        when shares.fixed_now_ratio > shares.fixed_then_ratio then 'supported'
        else 'partly'
    end as verdict,
    case
        when shares.btc_now_ratio is null or shares.btc_then_ratio is null
            then format(
                'pairs against Bitcoin: {} ({}); pairs against dollar stablecoins: {}',
                coalesce(shares.btc_symbol_count, 0),
                coalesce(shares.btc_reason, 'none a year before'), coalesce(shares.usd_symbol_count, 0)
            )
        else concat_ws(
            '; ',
            format(
                'into stablecoins {:.1f} % after {:.1f} % a year before, into Bitcoin {:.1f} % after {:.1f} %',
                100 * shares.usd_now_ratio, 100 * shares.usd_then_ratio, 100 * shares.btc_now_ratio,
                100 * shares.btc_then_ratio
            ),
            format(
                'pairs that traded at both ends of their year: stablecoins {:.1f} % after {:.1f} %',
                100 * shares.fixed_now_ratio, 100 * shares.fixed_then_ratio
            )
        )
    end as evidence
from newest
cross join shares
