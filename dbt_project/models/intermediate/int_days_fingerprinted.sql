with flows as (
    select
        exchange,
        symbol,
        utc_date,
        load_id
    from {{ ref('stg_spot_flows') }}
),

spans as (select * from {{ ref('int_symbols_spanned') }}),

classes as (select * from {{ ref('int_assets_classified') }}),

trust as (
    select
        exchange,
        tier,
        valid_from,
        lead(valid_from, 1, date '9999-12-31') over (partition by exchange order by valid_from) as valid_to
    from {{ ref('exchange_trust') }}
),

-- A row that changes gets another load.
flow_days as (
    select
        utc_date,
        sum(hash(exchange, symbol, load_id)) as flows_fingerprint
    from flows
    group by utc_date
),

-- What is known of a symbol beside its rows, and from when to when.
pieces as (
    select
        greatest(
            spans.expected_from_date, bases.valid_from, quotes.valid_from, coalesce(trust.valid_from, date '1970-01-01')
        ) as first_date,
        least(
            spans.expected_to_date + 1, bases.valid_to, quotes.valid_to, coalesce(trust.valid_to, date '9999-12-31')
        ) as end_date,
        cast(
            hash(
                spans.exchange, spans.symbol, spans.base_asset, spans.quote_asset,
                bases.asset_class, bases.flow_group, quotes.asset_class, quotes.is_usd_pegged, trust.tier
            ) as hugeint
        ) as piece
    from spans
    inner join classes as bases on spans.base_asset = bases.asset
    inner join classes as quotes on spans.quote_asset = quotes.asset
    left join trust on spans.exchange = trust.exchange
    where first_date < end_date
),

events as (
    select
        first_date as utc_date,
        piece as step
    from pieces
    union all
    select
        end_date as utc_date,
        -piece as step
    from pieces
    union all
    -- An era of a price lasts until the next one.
    select
        utc_date,
        cast(hash(asset, utc_date, kind) as hugeint) as step
    from {{ ref('asset_renames_and_eras') }}
    where kind in ('redenomination', 'reused_ticker')
    union all
    select
        utc_date,
        0 as step
    from flow_days
),

steps as (
    select
        utc_date,
        sum(step) as step
    from events
    group by utc_date
),

known as (
    select
        utc_date,
        sum(step) over (order by utc_date) as symbols_fingerprint
    from steps
),

-- Listed days have rows in some marts where nothing is expected, too.
days as (
    select cast(unnest(generate_series(min(first_date), max(end_date) - 1, interval 1 day)) as date) as utc_date
    from pieces
    union
    select utc_date from {{ ref('int_days_listed') }}
)

select
    days.utc_date,
    coalesce(flow_days.flows_fingerprint, 0) as flows_fingerprint,
    coalesce(known.symbols_fingerprint, 0) as symbols_fingerprint
from days
asof left join known on days.utc_date >= known.utc_date
left join flow_days on days.utc_date = flow_days.utc_date
