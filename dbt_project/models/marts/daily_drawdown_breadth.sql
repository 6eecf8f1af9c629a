{%- set cases = ['survivor', 'last_price', 'total_loss'] -%}
{%- set measures = [
    'below_50_share_ratio', '50_to_80_share_ratio', 'below_80_share_ratio', 'below_90_share_ratio',
    'median_drawdown_ratio',
] -%}
with closes as (select * from {{ ref('int_drawdown_days_measured') }}),

peaks as (select * from {{ ref('int_peaks_2021_found') }}),

tickers as (
    select distinct
        base_asset,
        ticker_2021_peak_price,
        is_ticker_in_basket
    from peaks
),

days as (
    select
        closes.*,
        peaks.era_2021_peak_price,
        tickers.ticker_2021_peak_price,
        coalesce(peaks.is_era_in_basket, false) as is_era_in_basket,
        coalesce(tickers.is_ticker_in_basket, false) as is_ticker_in_basket
    from closes
    left join peaks on closes.base_asset = peaks.base_asset and closes.era_date = peaks.era_date
    left join tickers on closes.base_asset = tickers.base_asset
),

lives as (select * from {{ ref('int_altcoin_lives_ended') }}),

run as (select * from {{ ref('int_run_selected') }}),

-- Members by era of the price; by ticker, eras are ignored as by readers who do not know of them.
members as (
    select
        'running_peak.all' as definition_id,
        base_asset,
        era_date,
        utc_date,
        close_price / running_peak_price - 1 as drawdown_ratio
    from days
    union all
    select
        'running_peak.basket_2021' as definition_id,
        base_asset,
        era_date,
        utc_date,
        close_price / running_peak_price - 1 as drawdown_ratio
    from days
    where is_era_in_basket
    union all
    select
        'peak_2021.all' as definition_id,
        base_asset,
        era_date,
        utc_date,
        close_price / era_2021_peak_price - 1 as drawdown_ratio
    from days
    where era_2021_peak_price is not null
    union all
    select
        'peak_2021.basket_2021' as definition_id,
        base_asset,
        era_date,
        utc_date,
        close_price / era_2021_peak_price - 1 as drawdown_ratio
    from days
    where is_era_in_basket
    union all
    select
        'peak_2021.basket_2021.by_ticker' as definition_id,
        base_asset,
        date '1970-01-01' as era_date,
        utc_date,
        close_price / ticker_2021_peak_price - 1 as drawdown_ratio
    from days
    where is_ticker_in_basket
),

-- The basket and the peak of 2021 are known from the last day of 2021 on.
scoped as (
    select
        *,
        case definition_id when 'running_peak.all' then date '1970-01-01' else date '2021-12-31' end as scope_date
    from members
),

series as (
    select
        definition_id,
        base_asset,
        scope_date,
        min(utc_date) as first_date,
        max(utc_date) as last_date,
        max_by(drawdown_ratio, utc_date) as last_drawdown_ratio,
        min(utc_date) filter (where drawdown_ratio <= -0.9 and utc_date > scope_date) as first_below_90_date
    from scoped
    group by definition_id, base_asset, era_date, scope_date
),

-- By ticker the last era tells how the series ended.
ended as (
    select
        series.*,
        lives.life_status
    from series
    inner join lives
        on
            series.base_asset = lives.base_asset
            and series.last_date = lives.last_date
),

delisted_days as (
    select
        ended.definition_id,
        ended.last_drawdown_ratio as drawdown_ratio,
        cast(
            unnest(
                generate_series(greatest(ended.last_date + 1, ended.scope_date), run.last_date, interval 1 day)
            ) as date
        ) as utc_date
    from ended
    cross join run
    where ended.life_status = 'delisted'
),

cased as (
    select
        definition_id,
        utc_date,
        drawdown_ratio as survivor_ratio,
        drawdown_ratio as last_price_ratio,
        drawdown_ratio as total_loss_ratio
    from scoped
    where utc_date >= scope_date
    union all
    select
        definition_id,
        utc_date,
        null as survivor_ratio,
        drawdown_ratio as last_price_ratio,
        -1 as total_loss_ratio
    from delisted_days
),

summed as (
    select
        definition_id,
        utc_date,
        {% for case in cases -%}
            avg(cast({{ case }}_ratio <= -0.5 as integer)) as {{ case }}_below_50_share_ratio,
            avg(cast({{ case }}_ratio between -0.8 and -0.5 as integer)) as {{ case }}_50_to_80_share_ratio,
            avg(cast({{ case }}_ratio < -0.8 as integer)) as {{ case }}_below_80_share_ratio,
            avg(cast({{ case }}_ratio <= -0.9 as integer)) as {{ case }}_below_90_share_ratio,
            median({{ case }}_ratio) as {{ case }}_median_drawdown_ratio,
        {% endfor -%}
        count(survivor_ratio) as survivor_count,
        count(*) - count(survivor_ratio) as delisted_count
    from cased
    group by definition_id, utc_date
),

-- A series that goes on under another name or unit leaves the members the day after its last close.
changes as (
    select
        definition_id,
        greatest(first_date, scope_date) as utc_date,
        1 as member_change,
        0 as continued_change,
        0 as below_90_change
    from ended
    union all
    select
        definition_id,
        greatest(last_date + 1, scope_date) as utc_date,
        0 as member_change,
        1 as continued_change,
        0 as below_90_change
    from ended
    where life_status in ('renamed', 'redenominated')
    union all
    select
        definition_id,
        first_below_90_date as utc_date,
        0 as member_change,
        0 as continued_change,
        1 as below_90_change
    from ended
    where first_below_90_date is not null
),

counts as (
    select
        definition_id,
        utc_date,
        cast(sum(sum(member_change)) over so_far as bigint) as member_count,
        cast(sum(sum(continued_change)) over so_far as bigint) as continued_count,
        cast(sum(sum(below_90_change)) over so_far as bigint) as ever_below_90_count
    from changes
    group by definition_id, utc_date
    window so_far as (partition by definition_id order by utc_date rows unbounded preceding)
),

covered as (
    select
        summed.*,
        counts.member_count,
        counts.continued_count,
        counts.ever_below_90_count,
        (summed.survivor_count + summed.delisted_count) / nullif(counts.member_count - counts.continued_count, 0)
            as coverage_ratio
    from summed
    asof inner join counts
        on
            summed.definition_id = counts.definition_id
            and summed.utc_date >= counts.utc_date
)

select
    definition_id,
    utc_date,
    member_count,
    survivor_count,
    delisted_count,
    continued_count,
    member_count - survivor_count - delisted_count - continued_count as not_observed_count,
    coverage_ratio,
    {% for case in cases -%}
        {% for measure in measures -%}
            case when coverage_ratio >= 0.95 then {{ case }}_{{ measure }} end as {{ case }}_{{ measure }},
        {% endfor -%}
    {% endfor -%}
    case
        when coverage_ratio >= 0.95 then total_loss_below_90_share_ratio - survivor_below_90_share_ratio
    end as survivorship_below_90_difference_ratio,
    case
        when coverage_ratio >= 0.95 then total_loss_median_drawdown_ratio - survivor_median_drawdown_ratio
    end as survivorship_median_difference_ratio,
    ever_below_90_count,
    ever_below_90_count / member_count as ever_below_90_share_ratio
from covered
