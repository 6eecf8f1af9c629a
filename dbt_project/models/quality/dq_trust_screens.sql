-- Flags, no deletions. All rows of exchanges; of symbols those that are flagged. Polarity (R10) is another check.
with screens as (
    select * from {{ ref('int_trust_screens_measured') }}
    where check_id != 'R10'
),

exchanges as (
    select
        exchange,
        max(utc_date) as last_date,
        bool_or(is_from_trades) as is_from_trades
    from {{ ref('int_flow_days_summed') }}
    where present_count > 0
    group by exchange
),

screened_exchanges as (
    select distinct exchange
    from screens
    where symbol is null
),

unmeasurable(check_id, is_of_trades, why) as (
    values
    ('R13', true, 'not measurable, read from bars: the sizes of single trades are not known'),
    ('R14', true, 'not measurable, read from bars: the sizes of single trades are not known'),
    ('R16', true, 'not measurable, read from bars: the order and the sides of single trades are not known'),
    ('R15', false, 'not measurable: of sizes four buckets are kept, which do not tell clean from washed'),
    ('R17', false, 'not measurable: hours of the day are not kept')
)

select
    check_id,
    exchange || coalesce(' ' || symbol, '') as scope,
    cast(quarter_date + interval 3 month as date) - 1 as utc_date,
    not is_flagged as passed,
    value,
    threshold,
    'flag' as severity,
    case when is_flagged then net_taker_usd else 0 end as impact_usd,
    case
        when not is_flagged then 'not above what exchanges without washed trades show'
        when check_id = 'R13' then 'first digits of trade sizes are further from Benford''s law than .015 on average'
        when check_id = 'R14' then 'trades of 1, 2 or 5 and zeros are more than 15 %'
        else 'trades are repeated at once from the other side more often than with permuted flags'
    end as reason
from screens
where symbol is null or is_flagged
union all
select
    unmeasurable.check_id,
    exchanges.exchange as scope,
    exchanges.last_date as utc_date,
    cast(null as boolean) as passed,
    cast(null as double) as value,
    cast(null as double) as threshold,
    'flag' as severity,
    cast(null as decimal(38, 8)) as impact_usd,
    case
        when unmeasurable.is_of_trades and exchanges.is_from_trades
            then 'not measurable: too few trades, or read before they were screened'
        else unmeasurable.why
    end as reason
from exchanges
cross join unmeasurable
left join screened_exchanges on exchanges.exchange = screened_exchanges.exchange
where not unmeasurable.is_of_trades or screened_exchanges.exchange is null
