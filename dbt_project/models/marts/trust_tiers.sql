{{ config(materialized="view") }}

with screens as (select * from {{ ref('int_trust_screens_measured') }}),

run as (select * from {{ ref('int_run_selected') }}),

seeded as (
    select
        exchange,
        valid_from,
        tier
    from {{ ref('exchange_trust') }}
),

exchange_days as (
    select
        exchange,
        utc_date,
        cast(date_trunc('quarter', utc_date) as date) as quarter_date,
        sum(present_count) as present_count
    from {{ ref('int_flow_days_summed') }}
    group by exchange, utc_date
),

-- Every quarter from an exchange's first on, those after its end too.
quarters as (
    select
        firsts.exchange,
        cast(unnest(generate_series(firsts.quarter_date, run.last_date, interval 3 month)) as date) as quarter_date
    from (
        select
            exchange,
            min(quarter_date) as quarter_date
        from exchange_days
        where present_count > 0
        group by exchange
    ) as firsts
    cross join run
),

covered as (
    select
        quarters.exchange,
        quarters.quarter_date,
        cast(quarters.quarter_date + interval 3 month as date) as valid_from,
        count(*) filter (where exchange_days.present_count > 0) / (valid_from - quarters.quarter_date) as coverage_ratio
    from quarters
    cross join run
    left join exchange_days
        on quarters.exchange = exchange_days.exchange and quarters.quarter_date = exchange_days.quarter_date
    where cast(quarters.quarter_date + interval 3 month as date) <= run.last_date + 1
    group by quarters.exchange, quarters.quarter_date
),

judged as (
    select
        exchange,
        symbol,
        quarter_date,
        string_agg(check_id, ', ' order by check_id) as measured_screens,
        string_agg(check_id, ', ' order by check_id) filter (where is_flagged) as flagged_screens,
        {% for check_id in ['R10', 'R13', 'R14', 'R16'] -%}
            max(value) filter (where check_id = '{{ check_id }}') as {{ check_id | lower }}_value,
            max(threshold) filter (where check_id = '{{ check_id }}') as {{ check_id | lower }}_threshold,
        {% endfor -%}
        bool_or(is_flagged) as is_flagged
    from screens
    group by exchange, symbol, quarter_date
),

tiers as (
    select
        covered.exchange,
        cast(null as varchar) as symbol,
        covered.quarter_date,
        covered.valid_from,
        covered.coverage_ratio,
        judged.* exclude (exchange, symbol, quarter_date)
    from covered
    left join judged
        on
            covered.exchange = judged.exchange
            and covered.quarter_date = judged.quarter_date
            and judged.symbol is null
    union all by name
    select
        judged.*,
        covered.valid_from,
        covered.coverage_ratio
    from judged
    inner join covered on judged.exchange = covered.exchange and judged.quarter_date = covered.quarter_date
    where judged.symbol is not null and judged.is_flagged
)

select
    tiers.exchange || coalesce(' ' || tiers.symbol, '') as scope,
    tiers.exchange,
    tiers.symbol,
    tiers.quarter_date,
    tiers.valid_from,
    cast(tiers.valid_from + interval 3 month as date) as valid_to_date,
    case
        when tiers.coverage_ratio < 0.8 then 'untrusted'
        when coalesce(tiers.is_flagged, false) then 'untrusted'
        when tiers.measured_screens like 'R10, %' then 'trusted'
        else 'untrusted'
    end as measured_tier,
    case
        when tiers.coverage_ratio < 0.8 then 'traded on less than 80 % of the quarter''s days'
        when coalesce(tiers.is_flagged, false) then 'flagged by ' || tiers.flagged_screens
        when tiers.measured_screens like 'R10, %' then 'no flag'
        else 'polarity or trades were not measured'
    end as reason,
    coalesce(seeded.tier, 'untrusted') as trust_tier,
    tiers.coverage_ratio,
    tiers.measured_screens,
    tiers.flagged_screens,
    tiers.r10_value,
    tiers.r10_threshold,
    tiers.r13_value,
    tiers.r13_threshold,
    tiers.r14_value,
    tiers.r14_threshold,
    tiers.r16_value,
    tiers.r16_threshold
from tiers
asof left join seeded on tiers.exchange = seeded.exchange and tiers.valid_from >= seeded.valid_from
