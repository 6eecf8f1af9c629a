{%- set no_impact = "; impact: no supply is in the headline'" %}
-- R19 and R20: parts of supply add up, and supplies move as supplies do.
with supplies as (select * from {{ ref('stg_stablecoin_supplies') }}),

-- Whom nobody follows any more is not late.
followed as (
    select stablecoin_id from {{ ref('stg_stablecoins') }}
    where is_followed
),

run as (select * from {{ ref('int_run_selected') }}),

chains as (
    select
        symbol || ' ' || stablecoin_id as scope,
        worst_date as utc_date,
        worst_deviation_ratio <= 0.005 as passed,
        worst_deviation_ratio as value,
        0.005 as threshold,
        null as impact_usd,
        'largest distance of the sum of its chains from the coin, within bounds on ' || within_days || ' of '
        || compared_days || ' days{{ no_impact }} as reason
    from {{ ref('dq_stablecoin_chains') }}
),

coins as (
    select
        utc_date,
        sum(circulating_usd) as circulating_usd
    from {{ ref('int_stablecoin_supplies_converted') }}
    group by utc_date
),

sums as (
    select
        coins.utc_date,
        cast(coins.circulating_usd as double) / nullif(cast(totals.total_circulating_usd as double), 0) as sum_ratio
    from coins
    inner join {{ ref('int_stablecoin_totals_summed') }} as totals on coins.utc_date = totals.utc_date
),

totals as (
    select
        'all coins' as scope,
        utc_date,
        sum_ratio <= 1.005 as passed,
        sum_ratio as value,
        1.005 as threshold,
        null as impact_usd,
        'sum of the followed coins by the total: their share{{ no_impact }} as reason
    from sums
    where sum_ratio is not null
    qualify sum_ratio > 1.005 or utc_date = max(utc_date) over ()
),

steps as (
    select
        symbol || ' ' || stablecoin_id as scope,
        stablecoin_id,
        utc_date,
        circulating_peg,
        peg_type,
        lag(circulating_peg) over in_order as before_peg,
        lag(peg_type) over in_order as peg_type_before,
        lag(utc_date) over in_order = utc_date - 1 as is_next_day,
        max(utc_date) over (partition by stablecoin_id) as newest_date
    from supplies
    where circulating_peg is not null
    window in_order as (partition by stablecoin_id order by utc_date)
),

-- A run of equal days has the number of changes before it.
numbered as (
    select
        *,
        count(*) filter (where not coalesce(is_next_day and circulating_peg = before_peg, false)) over (
            partition by stablecoin_id order by utc_date rows unbounded preceding
        ) as stretch
    from steps
),

stretches as (
    select
        scope,
        max(utc_date) as utc_date,
        count(*) as day_count
    from numbered
    where circulating_peg > 0
    group by scope, stablecoin_id, stretch
    having count(*) >= 5
),

jumps as (
    select
        scope,
        utc_date,
        cast(circulating_peg - before_peg as double) / cast(before_peg as double) as change_ratio
    from steps
    where before_peg > 0 and is_next_day
),

newest as (
    select
        jumps.scope,
        jumps.utc_date,
        jumps.change_ratio
    from jumps
    qualify utc_date = max(utc_date) over (partition by scope)
),

moves as (
    select
        scope || ' jump' as scope,
        utc_date,
        abs(change_ratio) <= 0.1 as passed,
        abs(change_ratio) as value,
        0.1 as threshold,
        null as impact_usd,
        'change of the supply from the day before{{ no_impact }} as reason
    from jumps
    where abs(change_ratio) > 0.1
    union all
    select
        scope || ' jump' as scope,
        utc_date,
        true as passed,
        abs(change_ratio) as value,
        0.1 as threshold,
        null as impact_usd,
        'change of the supply from the day before{{ no_impact }} as reason
    from newest
    where abs(change_ratio) <= 0.1
    union all
    select
        scope || ' flat' as scope,
        utc_date,
        false as passed,
        day_count as value,
        5 as threshold,
        null as impact_usd,
        'days in a row with the same supply, up to this one{{ no_impact }} as reason
    from stretches
    union all
    select
        scope || ' type' as scope,
        utc_date,
        false as passed,
        null as value,
        null as threshold,
        null as impact_usd,
        'peg changed from ' || peg_type_before || ' to ' || peg_type || '{{ no_impact }} as reason
    from steps
    where peg_type != peg_type_before
    union all
    select
        supplies.symbol || ' ' || supplies.stablecoin_id || ' age' as scope,
        max(supplies.utc_date) as utc_date,
        run.last_date - max(supplies.utc_date) <= 2 as passed,
        run.last_date - max(supplies.utc_date) as value,
        2 as threshold,
        null as impact_usd,
        'days from the newest supply to the last day of the run{{ no_impact }} as reason
    from supplies
    semi join followed on supplies.stablecoin_id = followed.stablecoin_id
    cross join run
    group by supplies.symbol, supplies.stablecoin_id, run.last_date
)

select {{ check_result('R19', "'warning'") }}
from chains
union all
select {{ check_result('R19', "'warning'") }}
from totals
union all
select {{ check_result('R20', "'flag'") }}
from moves
