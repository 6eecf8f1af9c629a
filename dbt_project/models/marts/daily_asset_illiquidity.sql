{{ config(materialized="incremental", meta={"reach_days": 180}) }}
-- depends_on: {{ ref('int_days_changed') }}
with bars as (
    select * from {{ ref('int_asset_bars_chosen') }}
    {% if is_incremental() %}
        where utc_date >= {{ first_day_changed(179) }}
    {% endif %}
),

estimates as (select * from {{ ref('int_illiquidity_estimated') }}),

-- greatest() and least() pass over a NULL: a day without a return has no part in anything.
parts as (
    select
        *,
        abs(return_ratio) / nullif(volume_billions, 0) as price_impact,
        case when return_ratio is not null then greatest(return_ratio, 0) end / nullif(volume_billions, 0)
            as price_impact_up,
        case when return_ratio is not null then greatest(-return_ratio, 0) end / nullif(volume_billions, 0)
            as price_impact_down,
        case when return_ratio * net_billions is not null then greatest(net_billions, 0) end as p,
        case when return_ratio * net_billions is not null then least(net_billions, 0) end as m,
        case when net_billions is not null then return_ratio end as r,
        pow(ln(high_price / low_price), 2) + pow(ln(high_before_price / low_before_price), 2) as beta,
        case
            when has_bar_before
                then pow(ln(greatest(high_price, high_before_price) / least(low_price, low_before_price)), 2)
        end as gamma,
        (ln(close_before_price) - (ln(high_before_price) + ln(low_before_price)) / 2)
        * (ln(close_before_price) - (ln(high_price) + ln(low_price)) / 2) as close_to_middle
    from bars
),

-- Corwin and Schultz's spread of two days; negative ones count as zero, as the authors do.
two_day_spreads as (
    select
        *,
        (sqrt(2 * beta) - sqrt(beta)) / (3 - 2 * sqrt(2)) - sqrt(gamma / (3 - 2 * sqrt(2))) as alpha,
        case when alpha is not null then greatest(2 * (exp(alpha) - 1) / (1 + exp(alpha)), 0) end as corwin_schultz
    from parts
),

windows as (
    select
        base_asset,
        utc_date,
        flow_group,
        count(price_impact) over days_30 as impact_count,
        avg(price_impact) over days_30 as mean_impact,
        avg(price_impact_up) over days_30 as mean_impact_up,
        avg(price_impact_down) over days_30 as mean_impact_down,
        count(corwin_schultz) over days_30 as bar_count,
        avg(corwin_schultz) over days_30 as mean_corwin_schultz,
        avg(close_to_middle) over days_30 as mean_close_to_middle,
        count(r) over days_180 as pair_count,
        sum(r) over days_180 as sum_r,
        sum(p) over days_180 as sum_p,
        sum(m) over days_180 as sum_m,
        sum(p * p) over days_180 as sum_pp,
        sum(m * m) over days_180 as sum_mm,
        sum(p * r) over days_180 as sum_pr,
        sum(m * r) over days_180 as sum_mr
    from two_day_spreads
    window
        days_30 as (
            partition by base_asset order by utc_date range between interval 29 days preceding and current row
        ),
        days_180 as (
            partition by base_asset order by utc_date range between interval 179 days preceding and current row
        )
),

-- max(net, 0) times min(net, 0) is 0 on every day, so their covariance has no sum of products.
covariances as (
    select
        *,
        sum_pp - sum_p * sum_p / pair_count as cov_pp,
        sum_mm - sum_m * sum_m / pair_count as cov_mm,
        -sum_p * sum_m / pair_count as cov_pm,
        sum_pr - sum_p * sum_r / pair_count as cov_pr,
        sum_mr - sum_m * sum_r / pair_count as cov_mr,
        cov_pp * cov_mm - cov_pm * cov_pm as determinant,
        -- Where one side has next to no flow, the two slopes cannot be told apart.
        pair_count >= 120 and determinant > 1e-9 * cov_pp * cov_mm as is_identified
    from windows
)

select
    covariances.base_asset,
    covariances.utc_date,
    covariances.flow_group,
    case when covariances.impact_count >= 20 then covariances.mean_impact end as amihud_ratio,
    case when covariances.impact_count >= 20 then covariances.mean_impact_up end as amihud_up_ratio,
    case when covariances.impact_count >= 20 then covariances.mean_impact_down end as amihud_down_ratio,
    case
        when covariances.is_identified
            then
                (covariances.cov_pr * covariances.cov_mm - covariances.cov_mr * covariances.cov_pm)
                / covariances.determinant
    end as kyle_lambda_plus_ratio,
    case
        when covariances.is_identified
            then
                (covariances.cov_mr * covariances.cov_pp - covariances.cov_pr * covariances.cov_pm)
                / covariances.determinant
    end as kyle_lambda_minus_ratio,
    case when covariances.is_identified then estimates.lambda_plus_error end as kyle_lambda_plus_error_ratio,
    case when covariances.is_identified then estimates.lambda_minus_error end as kyle_lambda_minus_error_ratio,
    case when covariances.bar_count >= 20 then covariances.mean_corwin_schultz end as corwin_schultz_range_ratio,
    case when covariances.bar_count >= 20 then 2 * sqrt(greatest(covariances.mean_close_to_middle, 0)) end
        as abdi_ranaldo_range_ratio,
    estimates.edge_spread as edge_range_ratio,
    covariances.impact_count,
    covariances.pair_count
from covariances
left join estimates on covariances.base_asset = estimates.base_asset and covariances.utc_date = estimates.utc_date
{% if is_incremental() %}where covariances.utc_date in {{ days_changed(180) }}{% endif %}
