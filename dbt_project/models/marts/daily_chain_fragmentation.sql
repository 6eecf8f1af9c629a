with locked as (
    select
        'tvl' as measure,
        chain,
        utc_date,
        tvl_usd as amount_usd
    from {{ ref('stg_chain_tvl') }}
),

swapped as (
    select
        'dex_volume' as measure,
        chain,
        utc_date,
        volume_usd as amount_usd
    from {{ ref('stg_dex_volumes') }}
),

told as (
    select * from locked
    union all
    select * from swapped
),

pegged as (
    select
        'stablecoin' as measure,
        chain,
        utc_date,
        circulating_usd as amount_usd
    from {{ ref('daily_stablecoin_chain_supply') }}
    where circulating_usd is not null
),

parts as (
    select * from told
    where chain <> 'all'
    union all
    select * from pegged
),

totals as (
    select
        measure,
        utc_date,
        amount_usd as total_usd
    from told
    where chain = 'all'
    union all
    select
        'stablecoin' as measure,
        utc_date,
        total_circulating_usd as total_usd
    from {{ ref('int_stablecoin_totals_summed') }}
),

days as (
    select
        measure,
        utc_date,
        count(*) filter (where amount_usd > 0) as chain_count,
        sum(amount_usd) as covered_usd,
        list(cast(amount_usd as double) order by chain) as amounts,
        max_by(chain, (amount_usd, chain)) as largest_chain,
        sum(amount_usd) filter (where chain = 'Arbitrum') as arbitrum_usd,
        sum(amount_usd) filter (where chain in ('Optimism', 'OP Mainnet')) as optimism_usd,
        sum(amount_usd) filter (where chain = 'Base') as base_usd,
        sum(amount_usd) filter (where chain in ('zkSync Era', 'ZKsync Era')) as zksync_usd
    from parts
    group by measure, utc_date
),

covered as (
    select
        days.*,
        totals.total_usd,
        cast(days.covered_usd as double) / nullif(cast(totals.total_usd as double), 0) as covered_ratio
    from days
    left join totals on days.measure = totals.measure and days.utc_date = totals.utc_date
),

judged as (
    select
        *,
        covered_usd > 0 and coalesce(covered_ratio between 0.85 and 1.15, false) as is_covered
    from covered
),

shares as (
    select
        *,
        case
            when is_covered
                then
                    list_sum(list_transform(amounts, lambda amount: amount * amount))
                    / (cast(covered_usd as double) * cast(covered_usd as double))
        end as hhi_ratio,
        case when is_covered then cast(arbitrum_usd as double) / cast(covered_usd as double) end
            as arbitrum_share_ratio,
        case when is_covered then cast(optimism_usd as double) / cast(covered_usd as double) end
            as optimism_share_ratio,
        case when is_covered then cast(base_usd as double) / cast(covered_usd as double) end as base_share_ratio,
        case when is_covered then cast(zksync_usd as double) / cast(covered_usd as double) end as zksync_share_ratio
    from judged
)

select
    measure,
    utc_date,
    chain_count,
    cast(covered_usd as decimal(38, 8)) as covered_usd,
    cast(total_usd as decimal(38, 8)) as total_usd,
    covered_ratio,
    is_covered,
    hhi_ratio,
    1 / hhi_ratio as effective_chain_count,
    case when is_covered then largest_chain end as largest_chain,
    arbitrum_share_ratio,
    optimism_share_ratio,
    base_share_ratio,
    zksync_share_ratio,
    case
        when coalesce(arbitrum_share_ratio, optimism_share_ratio, base_share_ratio, zksync_share_ratio) is not null
            then
                coalesce(arbitrum_share_ratio, 0) + coalesce(optimism_share_ratio, 0)
                + coalesce(base_share_ratio, 0) + coalesce(zksync_share_ratio, 0)
    end as four_rollups_share_ratio
from shares
