{#- What a bar can do wrong after the one before it → what is told of it. -#}
{%- set breaks = {
    'unit': 'open at more than three times or less than a third of their last close, which no crash does: another unit'
        ~ ' of the coin? Name it in the seed asset_renames_and_eras',
    'repeated': 'repeat the day before, volume, takers\'\' part and count of trades: a day that was read twice?',
    'cut month': 'go on after a month whose file ends early: a cut file?',
} -%}
-- R4 and R6: bars that can have happened, on every day, that go on from the bar before, also where the unit of time
-- stamps changed.
{%- set before = "date '2024-12-25'" %}
{%- set switch = "date '2025-01-01'" %}
{%- set after = "date '2025-01-07'" %}
with run as (select * from {{ ref('int_run_selected') }}),

bounds as (select * from {{ ref('dq_flow_bounds') }}),

refused as (
    select distinct
        exchange,
        symbol,
        utc_date
    from {{ ref('stg_refused_flows') }}
    where contains(reason, 'R4 ')
),

-- What the upstream has put right since is stored.
still_refused as (
    select refused.*
    from refused
    anti join {{ ref('int_spot_flows_converted') }} as flows
        on
            refused.exchange = flows.exchange
            and refused.symbol = flows.symbol
            and refused.utc_date = flows.utc_date
),

impossible as (
    select
        bounds.exchange as scope,
        run.last_date as utc_date,
        bounds.violation_count <= 0.0001 * bounds.row_count as passed,
        cast(bounds.violation_count as double) / bounds.row_count as value,
        0.0001 as threshold,
        case when bounds.violation_count = 0 then 0 end as impact_usd,
        'share of stored symbol-days that cannot have happened' as reason
    from bounds
    cross join run
    where bounds.row_count > 0
),

quarantined as (
    select
        exchange || ' quarantine' as scope,
        utc_date,
        false as passed,
        count(*) as value,
        0 as threshold,
        null as impact_usd,
        'rows in quarantine: ' || string_agg(symbol, ', ' order by symbol)
        || '; impact: not known, a row that cannot have happened has no flow' as reason
    from still_refused
    group by exchange, utc_date
),

span as (
    select
        exchange,
        symbol,
        count(*) as day_count,
        min(utc_date) as first_date,
        max(utc_date) as last_date
    from {{ ref('int_spot_flows_converted') }}
    where utc_date between {{ before }} and {{ after }}
    group by exchange, symbol
),

switched as (
    select
        exchange,
        sum((last_date - first_date + 1) - day_count) as lacking_count
    from span
    where first_date < {{ switch }} and last_date >= {{ switch }}
    group by exchange
),

continuous as (
    select
        bounds.exchange as scope,
        {{ switch }} as utc_date,
        switched.lacking_count = 0 as passed,
        switched.lacking_count as value,
        0 as threshold,
        case when switched.lacking_count = 0 then 0 end as impact_usd,
        case
            when switched.exchange is null
                then 'not measurable: no symbol traded before and after 2025-01-01'
            else
                'days without a bar from 2024-12-25 to 2025-01-07, of symbols that traded before and after 2025-01-01,'
                || ' the day of another unit of time stamps'
        end as reason
    from bounds
    left join switched on bounds.exchange = switched.exchange
),

broken as (
    select
        exchange,
        kind,
        utc_date,
        count(*) as symbol_count,
        string_agg(symbol, ', ' order by symbol) filter (where rank_in_day <= 20) as symbols
    from (
        select
            *,
            row_number() over (partition by exchange, kind, utc_date order by symbol) as rank_in_day
        from {{ ref('int_bar_breaks_found') }}
    )
    group by exchange, kind, utc_date
),

continued as (
    {% for kind, told in breaks.items() -%}
        select
            bounds.exchange || ' {{ kind }}' as scope,
            coalesce(broken.utc_date, run.last_date) as utc_date,
            broken.exchange is null as passed,
            coalesce(broken.symbol_count, 0) as value,
            0 as threshold,
            case when broken.exchange is null then 0 end as impact_usd,
            'symbols that {{ told }}' || coalesce(': ' || broken.symbols, '')
            || '; impact: not known' as reason
        from bounds
        cross join run
        left join broken on bounds.exchange = broken.exchange and broken.kind = '{{ kind }}'
        {{ 'union all' if not loop.last }}
    {% endfor %}
)

select {{ check_result('R4', "'block'") }}
from impossible
union all
select {{ check_result('R4', "'warning'") }}
from quarantined
union all
select {{ check_result('R6', "'warning'") }}
from continuous
union all
select {{ check_result('R6', "'warning'") }}
from continued
