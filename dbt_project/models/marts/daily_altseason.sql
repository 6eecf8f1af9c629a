with definitions(definition_id, largest_count) as (values ('top_50', 50), ('top_100', 100)),

assets as (select * from {{ ref('int_asset_windows_measured') }}),

-- A capitalisation that rests on a supply known only later would choose members by what nobody knew then.
caps as (
    select
        asset,
        utc_date,
        cap_usd
    from {{ ref('int_asset_caps_chosen') }}
    where cap_usd > 0 and (snapshot_date is null or snapshot_date <= utc_date)
),

bitcoin as (
    select
        utc_date,
        return_90d_ratio as btc_return_90d_ratio
    from assets
    where base_asset = 'BTC'
),

eligible as (
    select
        base_asset,
        utc_date,
        return_90d_ratio,
        volume_rank
    from assets
    where volume_rank is not null
),

capped as (
    select
        eligible.*,
        row_number() over (
            partition by eligible.utc_date order by caps.cap_usd desc, eligible.base_asset asc
        ) as cap_rank
    from eligible
    inner join caps on eligible.base_asset = caps.asset and eligible.utc_date = caps.utc_date
),

-- Caps rank a day where they are known for all that volume would have ranked; else volume does.
capped_days as (
    select
        definitions.definition_id,
        capped.utc_date,
        count(*) filter (where capped.volume_rank <= definitions.largest_count) as capped_count
    from capped
    cross join definitions
    group by definitions.definition_id, capped.utc_date
),

rankings as (
    select
        definitions.definition_id,
        definitions.largest_count,
        eligible.utc_date,
        count(*) as eligible_count,
        coalesce(any_value(capped_days.capped_count) = definitions.largest_count, false) as is_ranked_by_cap
    from eligible
    cross join definitions
    left join capped_days
        on definitions.definition_id = capped_days.definition_id and eligible.utc_date = capped_days.utc_date
    group by definitions.definition_id, definitions.largest_count, eligible.utc_date
),

members as (
    select
        rankings.*,
        eligible.base_asset,
        eligible.return_90d_ratio
    from eligible
    inner join rankings on eligible.utc_date = rankings.utc_date and not rankings.is_ranked_by_cap
    where eligible.volume_rank <= rankings.largest_count
    union all
    select
        rankings.*,
        capped.base_asset,
        capped.return_90d_ratio
    from capped
    inner join rankings on capped.utc_date = rankings.utc_date and rankings.is_ranked_by_cap
    where capped.cap_rank <= rankings.largest_count
)

select
    members.definition_id,
    members.utc_date,
    case
        when count(*) = any_value(members.largest_count) and any_value(bitcoin.btc_return_90d_ratio) is not null
            then
                100.0 * count(*) filter (where members.return_90d_ratio > bitcoin.btc_return_90d_ratio)
                / any_value(members.largest_count)
    end as altseason_index,
    case when any_value(members.is_ranked_by_cap) then 'cap' else 'volume_30d' end as ranking,
    count(*) as member_count,
    count(*) filter (where members.return_90d_ratio > bitcoin.btc_return_90d_ratio) as beating_count,
    any_value(members.eligible_count) as eligible_count,
    median(members.return_90d_ratio) as median_return_90d_ratio,
    any_value(bitcoin.btc_return_90d_ratio) as btc_return_90d_ratio,
    string_agg(members.base_asset, ',' order by members.base_asset) as members
from members
left join bitcoin on members.utc_date = bitcoin.utc_date
group by members.definition_id, members.utc_date
