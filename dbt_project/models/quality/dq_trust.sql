-- R28: who is trusted by the seed and should be no longer: its flows have stopped, or a screen flags it.
with tiers as (
    select * from {{ ref('trust_tiers') }}
    where symbol is null and trust_tier = 'trusted'
),

newest as (
    select
        *,
        coverage_ratio >= 0.8 and flagged_screens is null as is_sound
    from tiers
    qualify valid_from = max(valid_from) over (partition by exchange)
),

judged as (
    select
        exchange as scope,
        valid_from - 1 as utc_date,
        is_sound as passed,
        coverage_ratio as value,
        0.8 as threshold,
        null as impact_usd,
        'share of the days of the last closed quarter with a flow; '
        || case
            when is_sound then 'nothing speaks against the seed''s trust'
            else reason || ': no longer to be trusted, say so in the seed exchange_trust'
        end
        || '; impact: all that it has in definitions of trusted exchanges' as reason
    from newest
    union all
    select
        'all exchanges' as scope,
        run.last_date as utc_date,
        null as passed,
        null as value,
        0.8 as threshold,
        null as impact_usd,
        'not measurable: no quarter of a trusted exchange is closed' as reason
    from {{ ref('int_run_selected') }} as run
    where not exists (select 1 from newest)
)

select {{ check_result('R28', "'warning'") }}
from judged
