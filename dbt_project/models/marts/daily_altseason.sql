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
        assets.base_asset,
        assets.utc_date,
        assets.return_90d_ratio,
        caps.cap_usd,
        cast(assets.volume_30d_usd as double) / assets.observed_30d_days as volume_30d_mean_usd
    from assets
    left join caps on assets.base_asset = caps.asset and assets.utc_date = caps.utc_date
    where assets.flow_group in ('ALT', 'ETH') and assets.return_90d_ratio is not null
),

ranked as (
    select
        *,
        row_number() over (
            partition by utc_date order by volume_30d_mean_usd desc, base_asset asc
        ) as volume_rank,
        row_number() over (
            partition by utc_date order by cap_usd desc nulls last, base_asset asc
        ) as cap_rank
    from eligible
),

-- Caps rank a day where they are known for all that volume would have ranked; else volume does.
rankings as (
    select
        definitions.definition_id,
        definitions.largest_count,
        ranked.utc_date,
        count(*) as eligible_count,
        count(*) filter (where ranked.volume_rank <= definitions.largest_count and ranked.cap_usd is not null)
        = definitions.largest_count as is_ranked_by_cap
    from ranked
    cross join definitions
    group by definitions.definition_id, definitions.largest_count, ranked.utc_date
),

members as (
    select
        rankings.definition_id,
        rankings.largest_count,
        rankings.utc_date,
        rankings.eligible_count,
        rankings.is_ranked_by_cap,
        ranked.base_asset,
        ranked.return_90d_ratio
    from rankings
    inner join ranked
        on
            rankings.utc_date = ranked.utc_date
            and case when rankings.is_ranked_by_cap then ranked.cap_rank else ranked.volume_rank end
            <= rankings.largest_count
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
