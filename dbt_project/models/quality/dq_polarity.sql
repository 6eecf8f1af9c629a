-- R10: takers buy when prices rise. Where a quarter says the opposite, somebody has turned the sides round.
with quarters as (
    select * from {{ ref('int_symbol_quarters_measured') }}
    where day_count >= 60 and return_flow_correlation is not null
),

run as (select * from {{ ref('int_run_selected') }}),

measured as (
    select
        exchange,
        utc_date,
        count(*) as symbol_count,
        median(return_flow_correlation) as median_correlation,
        cast(count(*) filter (where return_flow_correlation > 0) as double) / count(*) as positive_ratio,
        sum(altcoin_net_taker_usd) as altcoin_net_taker_usd
    from quarters
    group by exchange, utc_date
    having count(*) >= 20
),

judged as (
    select
        *,
        median_correlation <= 0 or positive_ratio < 0.5 as is_turned,
        utc_date = max(utc_date) over (partition by exchange) as is_newest
    from measured
),

exchanges as (
    select
        judged.exchange as scope,
        least(cast(judged.utc_date + interval 3 month - interval 1 day as date), run.last_date) as utc_date,
        not judged.is_turned and judged.positive_ratio >= 0.9 as passed,
        judged.positive_ratio as value,
        case when judged.is_turned then 0.5 else 0.9 end as threshold,
        case when judged.is_turned then -2 * judged.altcoin_net_taker_usd else 0 end as impact_usd,
        format(
            '{} symbols of the quarter with 60 days, share in which takers buy when the price rises; median correlation'
            || ' {:.2f}; {}',
            judged.symbol_count,
            judged.median_correlation,
            case
                when judged.is_turned then 'sides look turned round; impact: on the headline of the day, if they are'
                else 'sides are as they should be'
            end
        ) as reason
    from judged
    cross join run
    where judged.is_newest or judged.is_turned or judged.positive_ratio < 0.9
    union all
    select
        bounds.exchange as scope,
        run.last_date as utc_date,
        null as passed,
        null as value,
        0.9 as threshold,
        null as impact_usd,
        'not measurable: no quarter with 20 symbols of 60 days' as reason
    from {{ ref('dq_flow_bounds') }} as bounds
    cross join run
    anti join judged on bounds.exchange = judged.exchange
),

pairs as (
    select
        today.exchange || ' ' || today.symbol as scope,
        least(cast(today.utc_date + interval 3 month - interval 1 day as date), run.last_date) as utc_date,
        false as passed,
        today.return_flow_correlation as value,
        -0.2 as threshold,
        -2 * (today.altcoin_net_taker_usd + before.altcoin_net_taker_usd) as impact_usd,
        'takers of this symbol sell when its price rises, two quarters running; impact: of both, if sides are turned'
        || ' round' as reason
    from quarters as today
    inner join quarters as before
        on
            today.exchange = before.exchange
            and today.symbol = before.symbol
            and cast(today.utc_date - interval 3 month as date) = before.utc_date
    cross join run
    where today.return_flow_correlation < -0.2 and before.return_flow_correlation < -0.2
)

select {{ check_result('R10', "'warning'") }}
from exchanges
union all
select {{ check_result('R10', "'flag'") }}
from pairs
