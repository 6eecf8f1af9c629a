-- A redenomination goes on with the same coin, a re-used ticker begins another life.
with eras as (select * from {{ ref('int_altcoin_lives_ended') }}),

events as (
    select * from {{ ref('asset_renames_and_eras') }}
    where kind = 'reused_ticker'
),

flows as (select * from {{ ref('daily_asset_flows') }}),

numbered as (
    select
        eras.*,
        count(events.asset) over (
            partition by eras.base_asset order by eras.era_date rows unbounded preceding
        ) as life_number
    from eras
    left join events on eras.base_asset = events.asset and eras.era_date = events.utc_date
),

lives as (
    select
        base_asset,
        min(era_date) as era_date,
        min(first_date) as first_date,
        max(last_date) as last_date,
        max_by(life_status, era_date) as life_status,
        min_by(is_left_censored, era_date) as is_left_censored
    from numbered
    group by base_asset, life_number
),

traded as (
    select
        lives.base_asset,
        lives.era_date,
        max(flows.utc_date) as last_traded_date
    from lives
    inner join flows
        on
            lives.base_asset = flows.base_asset
            and flows.utc_date between lives.first_date and lives.last_date
    where flows.volume_usd > 0
    group by lives.base_asset, lives.era_date
),

judged as (
    select
        lives.base_asset,
        lives.era_date,
        lives.first_date,
        lives.last_date,
        traded.last_traded_date,
        lives.is_left_censored,
        case
            -- Listed and reported, and nobody trades: 30 days of that are as good as a delisting.
            when
                lives.life_status = 'trading'
                and lives.last_date - coalesce(traded.last_traded_date, lives.first_date) >= 30
                then 'dormant'
            else lives.life_status
        end as life_status
    from lives
    left join traded on lives.base_asset = traded.base_asset and lives.era_date = traded.era_date
)

select
    *,
    case when is_left_censored then 'before_recording' else cast(year(first_date) as varchar) end as cohort,
    cast(
        case when life_status = 'trading' then last_date else coalesce(last_traded_date, first_date) end
        - first_date + 1 as bigint
    ) as age_days
from judged
