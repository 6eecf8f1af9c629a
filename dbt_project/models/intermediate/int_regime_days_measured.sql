with markets as (select * from {{ ref('int_altcoin_markets_summed') }}),

headlines as (
    select
        utc_date,
        cast(window_net_taker_usd as double) as cumulative_net_taker_usd
    from {{ ref('int_flow_windows_summed') }}
    where definition_id = 'rolling_365d.ex_btc_eth.all.all' and is_window_valid
),

-- Billions of dollars, so that squares stay in the range in which DOUBLE is exact enough.
days as (
    select
        markets.*,
        headlines.cumulative_net_taker_usd,
        ln(cast(nullif(markets.taker_sell_usd, 0) as double)) as log_sell,
        cast(markets.net_taker_usd as double) / 1e9 as net_billions,
        ln(1 + markets.weighted_return_ratio) as log_return
    from markets
    left join headlines on markets.utc_date = headlines.utc_date
),

windows as (
    select
        *,
        case
            when count(log_sell) over half_year_before = 180
                then
                    (log_sell - avg(log_sell) over half_year_before)
                    / nullif(stddev_samp(log_sell) over half_year_before, 0)
        end as sell_z,
        case when count(log_return) over days_3 = 3 then exp(sum(log_return) over days_3) - 1 end as return_3d_ratio,
        cast(sum(volume_usd) over days_30 as double) as volume_30d_usd,
        sum(net_taker_usd) over days_30 as net_taker_30d_usd,
        cast(sum(net_taker_usd) over days_30 as double) / nullif(cast(sum(volume_usd) over days_30 as double), 0)
            as imbalance_30d_ratio,
        case
            when count(*) filter (where volume_usd > 0) over year_before_month >= 180
                then
                    cast(sum(net_taker_usd) over year_before_month as double)
                    / nullif(cast(sum(volume_usd) over year_before_month as double), 0)
        end as lagged_365d_imbalance_ratio,
        case
            when count(cumulative_net_taker_usd) over days_30 = 30
                then regr_slope(cumulative_net_taker_usd, utc_date - date '1970-01-01') over days_30
        end as cumulative_slope_usd,
        -- Sums of the regression r = a + b * max(net, 0) + c * min(net, 0) over 180 days.
        count(weighted_return_ratio) over half_year as pair_count,
        sum(weighted_return_ratio) over half_year as sum_r,
        sum(greatest(net_billions, 0)) filter (where weighted_return_ratio is not null) over half_year as sum_p,
        sum(least(net_billions, 0)) filter (where weighted_return_ratio is not null) over half_year as sum_m,
        sum(greatest(net_billions, 0) * greatest(net_billions, 0))
        filter (where weighted_return_ratio is not null) over half_year as sum_pp,
        sum(least(net_billions, 0) * least(net_billions, 0))
        filter (where weighted_return_ratio is not null) over half_year as sum_mm,
        sum(greatest(net_billions, 0) * weighted_return_ratio) over half_year as sum_pr,
        sum(least(net_billions, 0) * weighted_return_ratio) over half_year as sum_mr
    from days
    window
        days_3 as (order by utc_date range between interval 2 days preceding and current row),
        days_30 as (order by utc_date range between interval 29 days preceding and current row),
        half_year as (order by utc_date range between interval 179 days preceding and current row),
        half_year_before as (
            order by utc_date range between interval 180 days preceding and interval 1 day preceding
        ),
        year_before_month as (
            order by utc_date range between interval 394 days preceding and interval 30 days preceding
        )
),

regressed as (
    select
        *,
        sum_pp - sum_p * sum_p / pair_count as cov_pp,
        sum_mm - sum_m * sum_m / pair_count as cov_mm,
        -sum_p * sum_m / pair_count as cov_pm,
        sum_pr - sum_p * sum_r / pair_count as cov_pr,
        sum_mr - sum_m * sum_r / pair_count as cov_mr,
        case
            when pair_count >= 120
                then (cov_mr * cov_pp - cov_pr * cov_pm) / nullif(cov_pp * cov_mm - cov_pm * cov_pm, 0)
        end as lambda_minus
    from windows
),

excesses as (
    select
        *,
        imbalance_ratio - lagged_365d_imbalance_ratio as excess_day_ratio,
        imbalance_30d_ratio - lagged_365d_imbalance_ratio as excess_30d_ratio,
        case
            when count(lambda_minus) over year_before >= 180
                then avg(lambda_minus) over year_before
        end as mean_lambda_minus
    from regressed
    window year_before as (order by utc_date range between interval 365 days preceding and interval 1 day preceding)
),

counted as (
    select
        *,
        count(*) filter (where excess_day_ratio > 0) over days_30 as excess_day_days,
        count(*) filter (where excess_30d_ratio > 0) over days_30 as excess_30d_days,
        count(*) filter (where net_taker_usd > 0) over days_30 as net_day_days,
        count(*) filter (where net_taker_30d_usd > 0) over days_30 as net_30d_days
    from excesses
    window days_30 as (order by utc_date range between interval 29 days preceding and current row)
),

-- Share of the days before that were lower; the day itself is not among them.
ranked as (
    select
        today.utc_date,
        case
            when count(earlier.weighted_return_ratio) filter (where earlier.utc_date >= today.utc_date - 365) >= 180
                then
                    count(*) filter (
                        where earlier.weighted_return_ratio < today.weighted_return_ratio
                        and earlier.utc_date >= today.utc_date - 365
                    )
                    / count(earlier.weighted_return_ratio) filter (where earlier.utc_date >= today.utc_date - 365)
        end as return_rank_ratio,
        case
            when count(earlier.return_3d_ratio) filter (where earlier.utc_date >= today.utc_date - 365) >= 180
                then
                    count(*) filter (
                        where earlier.return_3d_ratio < today.return_3d_ratio
                        and earlier.utc_date >= today.utc_date - 365
                    )
                    / count(earlier.return_3d_ratio) filter (where earlier.utc_date >= today.utc_date - 365)
        end as return_3d_rank_ratio,
        case
            when count(earlier.cumulative_net_taker_usd) >= 365
                then
                    count(*) filter (where earlier.cumulative_net_taker_usd < today.cumulative_net_taker_usd)
                    / count(earlier.cumulative_net_taker_usd)
        end as cumulative_rank_ratio,
        case
            when count(earlier.volume_30d_usd) >= 365
                then
                    count(*) filter (where earlier.volume_30d_usd < today.volume_30d_usd)
                    / count(earlier.volume_30d_usd)
        end as volume_rank_ratio
    from counted as today
    inner join counted as earlier
        on today.utc_date > earlier.utc_date and earlier.utc_date >= today.utc_date - 730
    group by today.utc_date
)

select
    counted.utc_date,
    counted.is_covered,
    counted.altcoin_count,
    counted.weighted_return_ratio,
    counted.return_3d_ratio,
    counted.imbalance_ratio,
    counted.imbalance_30d_ratio,
    counted.excess_30d_ratio,
    counted.net_taker_usd,
    counted.cumulative_net_taker_usd,
    counted.cumulative_slope_usd,
    counted.sell_z,
    counted.lambda_minus,
    counted.mean_lambda_minus,
    counted.net_sold_share_ratio,
    counted.net_sold_3d_share_ratio,
    counted.net_bought_share_ratio,
    counted.falling_share_ratio,
    counted.above_own_mean_share_ratio,
    counted.excess_day_days,
    counted.excess_30d_days,
    counted.net_day_days,
    counted.net_30d_days,
    counted.bitcoin_net_taker_usd,
    counted.bitcoin_return_ratio,
    case when counted.weighted_return_ratio is not null then ranked.return_rank_ratio end as return_rank_ratio,
    case when counted.return_3d_ratio is not null then ranked.return_3d_rank_ratio end as return_3d_rank_ratio,
    case when counted.cumulative_net_taker_usd is not null then ranked.cumulative_rank_ratio end
        as cumulative_rank_ratio,
    ranked.volume_rank_ratio
from counted
left join ranked on counted.utc_date = ranked.utc_date
