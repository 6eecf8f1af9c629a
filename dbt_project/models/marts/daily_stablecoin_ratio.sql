with totals as (select * from {{ ref('int_stablecoin_totals_summed') }}),

bitcoin as (
    select *
    from {{ ref('int_asset_caps_chosen') }}
    where asset = 'BTC'
),

ratios as (
    select
        totals.utc_date,
        bitcoin.cap_usd as btc_cap_usd,
        totals.total_circulating_usd as stablecoin_cap_usd,
        bitcoin.price_usd as btc_price,
        coalesce(bitcoin.is_estimated, false) as is_estimated,
        cast(bitcoin.cap_usd as double) / nullif(cast(totals.total_circulating_usd as double), 0) as ssr
    from totals
    left join bitcoin on totals.utc_date = bitcoin.utc_date
),

windowed as (
    select
        *,
        count(ssr) over days_200 as ssr_days,
        avg(ssr) over days_200 as ssr_mean,
        stddev_samp(ssr) over days_200 as ssr_deviation,
        count(btc_price) over days_200 as price_days,
        avg(btc_price) over days_200 as price_mean,
        stddev_samp(btc_price) over days_200 as price_deviation,
        cast(count(*) filter (where is_estimated) over days_200 as bigint) as estimated_days
    from ratios
    -- Calendar days: a missing day must not let an older one in.
    window days_200 as (order by utc_date range between interval 199 days preceding and current row)
),

scored as (
    select
        utc_date,
        btc_cap_usd,
        stablecoin_cap_usd,
        ssr,
        btc_price,
        is_estimated,
        estimated_days,
        case when ssr_days = 200 then ssr_mean end as ssr_mean,
        case when ssr_days = 200 then ssr_deviation end as ssr_deviation,
        case when ssr_days = 200 then (ssr - ssr_mean) / nullif(ssr_deviation, 0) end as oscillator,
        case when price_days = 200 then (btc_price - price_mean) / nullif(price_deviation, 0) end as btc_price_z
    from windowed
),

paired as (
    select
        *,
        utc_date >= date '2020-01-01' and oscillator is not null and btc_price_z is not null as is_paired
    from scored
)

select
    utc_date,
    btc_cap_usd,
    stablecoin_cap_usd,
    ssr,
    ssr_mean,
    ssr_deviation,
    oscillator,
    btc_price,
    btc_price_z,
    case
        when count(*) filter (where is_paired) over so_far > 2
            then corr(oscillator, btc_price_z) filter (where is_paired) over so_far
    end as price_z_correlation_ratio,
    count(*) filter (where is_paired) over so_far as price_z_correlation_days,
    is_estimated,
    estimated_days
from paired
window so_far as (order by utc_date rows between unbounded preceding and current row)
