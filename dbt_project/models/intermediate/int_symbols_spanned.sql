with flows as (select * from {{ ref('stg_spot_flows') }}),

symbols as (select * from {{ ref('stg_spot_symbols') }}),

gaps as (
    select * from {{ ref('stg_gaps') }}
    where dataset = 'spot_flows'
),

asked as (
    select * from {{ ref('stg_asked') }}
    where dataset = 'spot_flows'
),

run as (select * from {{ ref('int_run_selected') }}),

refused as (
    select
        exchange,
        symbol,
        min(utc_date) as first_refused_date,
        max(utc_date) as last_refused_date
    from {{ ref('stg_refused_flows') }}
    group by exchange, symbol
),

bars as (
    select
        exchange,
        symbol,
        min(utc_date) as first_bar_date,
        max(utc_date) as last_bar_date
    from flows
    group by exchange, symbol
),

days as (
    select
        exchange,
        utc_date,
        count(*) as observed_count
    from flows
    group by exchange, utc_date
),

births as (
    select
        exchange,
        first_bar_date as utc_date,
        count(*) as born_count
    from bars
    group by exchange, first_bar_date
),

-- Where half of the day's symbols of a recording are new, it begins, not the listing. Elsewhere exchanges and
-- archives have a first day of their own.
mass_births as (
    select
        days.exchange,
        days.utc_date
    from days
    inner join births on days.exchange = births.exchange and days.utc_date = births.utc_date
    cross join run
    where births.born_count * 2 >= days.observed_count and run.source = 'recorded'
),

-- From when on a symbol was asked for without an answer since.
unanswered as (
    select
        gaps.upstream as exchange,
        gaps.scope as symbol,
        min(greatest(coalesce(gaps.start_date, run.first_date), run.first_date)) as first_unanswered_date
    from gaps
    cross join run
    where
        not exists (
            select 1 from asked
            where
                gaps.upstream = asked.upstream
                and gaps.scope = asked.scope
                and asked.start_date <= coalesce(gaps.start_date, run.first_date)
                and asked.end_date > coalesce(gaps.start_date, run.first_date)
        )
    group by gaps.upstream, gaps.scope
),

-- Nothing has ever been answered about such a symbol: it is missing on every day that was asked for.
asked_in_vain as (
    select
        symbols.exchange,
        symbols.symbol,
        min(greatest(coalesce(gaps.start_date, run.first_date), run.first_date)) as expected_from_date,
        max(least(coalesce(gaps.end_date - 1, run.last_date), run.last_date)) as expected_to_date
    from symbols
    inner join gaps on symbols.exchange = gaps.upstream and symbols.symbol = gaps.scope
    cross join run
    where
        not exists (
            select 1 from asked
            where symbols.exchange = asked.upstream and symbols.symbol = asked.scope
        )
    group by symbols.exchange, symbols.symbol
)

select
    symbols.exchange,
    symbols.symbol,
    symbols.base_asset,
    symbols.quote_asset,
    bars.first_bar_date,
    bars.last_bar_date,
    mass_births.utc_date is not null as is_left_censored,
    case
        when bars.symbol is null then least(asked_in_vain.expected_from_date, refused.first_refused_date)
        when mass_births.utc_date is not null then least(run.first_date, bars.first_bar_date)
        -- What was refused or not answered may have been listed: missing until somebody says that it was not.
        else least(bars.first_bar_date, refused.first_refused_date, unanswered.first_unanswered_date)
    end as expected_from_date,
    case
        when bars.symbol is null and asked_in_vain.symbol is not null then asked_in_vain.expected_to_date
        when symbols.is_trading and symbols.is_listed then greatest(run.last_date, bars.last_bar_date)
        else greatest(bars.last_bar_date, refused.last_refused_date)
    end as expected_to_date
from symbols
cross join run
left join bars on symbols.exchange = bars.exchange and symbols.symbol = bars.symbol
left join mass_births on bars.exchange = mass_births.exchange and bars.first_bar_date = mass_births.utc_date
left join asked_in_vain on symbols.exchange = asked_in_vain.exchange and symbols.symbol = asked_in_vain.symbol
left join refused on symbols.exchange = refused.exchange and symbols.symbol = refused.symbol
left join unanswered on symbols.exchange = unanswered.exchange and symbols.symbol = unanswered.symbol
where bars.symbol is not null or asked_in_vain.symbol is not null or refused.symbol is not null
