with days as (select * from {{ ref('int_days_listed') }}),

spans as (select * from {{ ref('int_symbols_spanned') }}),

flow_days as (select * from {{ ref('int_flow_days_summed') }}),

missing_days as (select * from {{ ref('int_symbol_days_missing') }}),

warehouse as (select * from {{ source('raw', 'warehouse_info') }}),

asked as (
    select * from {{ ref('stg_asked') }}
    where dataset = 'spot_flows'
),

gaps as (
    select * from {{ ref('stg_gaps') }}
    where dataset = 'spot_flows'
),

absences as (
    select * from {{ ref('stg_absences') }}
    where dataset = 'spot_flows'
),

refused as (
    select distinct
        exchange,
        symbol,
        utc_date
    from {{ ref('stg_refused_flows') }}
),

-- What is read from trades reaches back as far as its files or pages do, and a day without a trade has no row.
trade_exchanges as (
    select distinct exchange
    from flow_days
    where is_from_trades
),

exchange_days as (
    select
        exchange,
        utc_date,
        cast(sum(expected_count) as bigint) as expected_count,
        cast(sum(present_count) as bigint) as present_count
    from flow_days
    group by exchange, utc_date
),

-- A gap of a whole exchange is one of each of its symbols.
lacking as (
    select
        upstream,
        scope,
        start_date,
        end_date,
        reason,
        noticed_at,
        scope in ('*', 'every symbol') as is_whole
    from gaps
    union all
    select
        upstream,
        scope,
        start_date,
        end_date,
        reason,
        noticed_at,
        scope = '*' as is_whole
    from absences
),

-- What failed later than the last answer for that day is a gap; what was answered without a row is an absence.
explained as (
    select
        missing.exchange,
        missing.symbol,
        missing.utc_date,
        case
            when max(lacking.noticed_at) is not null then arg_max(lacking.reason, lacking.noticed_at)
            when max(all_lacking.noticed_at) is not null then arg_max(all_lacking.reason, all_lacking.noticed_at)
            when bool_or(refused.symbol is not null) then 'failed'
            when not bool_or(asked.scope is not null or all_asked.scope is not null) then 'unknown'
            when any_value(warehouse.source) = 'recorded' then 'not_recorded'
            when any_value(trade_exchanges.exchange) is not null then 'no_trades'
            when any_value(exchange_days.present_count) > 0 then 'halted'
            else 'venue_outage'
        end as reason
    from missing_days as missing
    inner join exchange_days
        on missing.exchange = exchange_days.exchange and missing.utc_date = exchange_days.utc_date
    cross join warehouse
    left join asked
        on
            missing.exchange = asked.upstream
            and missing.symbol = asked.scope
            and missing.utc_date >= asked.start_date
            and missing.utc_date < asked.end_date
    left join asked as all_asked
        on
            missing.exchange = all_asked.upstream
            and all_asked.scope = '*'
            and missing.utc_date >= all_asked.start_date
            and missing.utc_date < all_asked.end_date
    left join refused
        on
            missing.exchange = refused.exchange
            and missing.symbol = refused.symbol
            and missing.utc_date = refused.utc_date
    left join lacking
        on
            missing.exchange = lacking.upstream
            and missing.symbol = lacking.scope
            and missing.utc_date >= coalesce(lacking.start_date, missing.utc_date)
            and missing.utc_date < coalesce(lacking.end_date, missing.utc_date + 1)
            and lacking.noticed_at > coalesce(asked.answered_at, all_asked.answered_at, timestamp '1970-01-01')
    left join lacking as all_lacking
        on
            missing.exchange = all_lacking.upstream
            and all_lacking.is_whole
            and missing.utc_date >= coalesce(all_lacking.start_date, missing.utc_date)
            and missing.utc_date < coalesce(all_lacking.end_date, missing.utc_date + 1)
            and all_lacking.noticed_at > coalesce(asked.answered_at, all_asked.answered_at, timestamp '1970-01-01')
    left join trade_exchanges on missing.exchange = trade_exchanges.exchange
    group by missing.exchange, missing.symbol, missing.utc_date
),

reason_counts as (
    select
        exchange,
        utc_date,
        reason,
        count(*) as missing_count
    from explained
    group by exchange, utc_date, reason
),

reasons as (
    select
        exchange,
        utc_date,
        reason,
        cast(
            sum(missing_count) filter (where reason = 'unknown') over (partition by exchange, utc_date) as bigint
        ) as unknown_count
    from reason_counts
    qualify row_number() over (partition by exchange, utc_date order by missing_count desc, reason asc) = 1
),

-- An exchange that has never answered shows too.
exchanges as (
    select exchange from spans
    union
    select upstream as exchange from gaps
),

exchange_gaps as (
    select
        upstream as exchange,
        arg_max(reason, noticed_at) as reason
    from gaps
    group by upstream
)

select
    exchanges.exchange,
    'spot_flows' as dataset,
    days.utc_date,
    coalesce(exchange_days.expected_count, 0) as expected_count,
    coalesce(exchange_days.present_count, 0) as present_count,
    exchange_days.present_count / exchange_days.expected_count as coverage_ratio,
    case
        when exchange_days.expected_count = exchange_days.present_count then null
        when exchange_days.expected_count > 0 then reasons.reason
        when trade_exchanges.exchange is not null then 'out_of_reach'
        when exchanges.exchange in (select spans.exchange from spans) then 'not_listed'
        else exchange_gaps.reason
    end as reason,
    coalesce(reasons.unknown_count, 0) as unknown_count
from days
cross join exchanges
left join exchange_days
    on exchanges.exchange = exchange_days.exchange and days.utc_date = exchange_days.utc_date
left join reasons on exchanges.exchange = reasons.exchange and days.utc_date = reasons.utc_date
left join exchange_gaps on exchanges.exchange = exchange_gaps.exchange
left join trade_exchanges on exchanges.exchange = trade_exchanges.exchange
