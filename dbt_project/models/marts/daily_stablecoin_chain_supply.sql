with supplies as (select * from {{ ref('int_stablecoin_supplies_converted') }}),

totals as (select * from {{ ref('int_stablecoin_totals_summed') }}),

chain_supplies as (
    select
        chains.chain,
        chains.stablecoin_id,
        chains.symbol,
        chains.utc_date,
        supplies.circulating_usd as coin_usd,
        -- The coin's own dollars per unit of its peg: 1 for the dollar, so that nothing is rounded there.
        case
            when chains.peg_type = 'peggedUSD' then cast(chains.circulating_peg as decimal(38, 8))
            else cast(round(
                cast(chains.circulating_peg as double) * cast(supplies.circulating_usd as double)
                / nullif(cast(supplies.circulating_peg as double), 0), 8
            ) as decimal(38, 8))
        end as circulating_usd
    from {{ ref('stg_stablecoin_chain_supplies') }} as chains
    left join supplies
        on
            chains.stablecoin_id = supplies.stablecoin_id
            and chains.utc_date = supplies.utc_date
),

coins as (
    select
        utc_date,
        stablecoin_id,
        min(symbol) as symbol,
        min(coin_usd) as coin_usd,
        sum(circulating_usd) as chains_usd
    from chain_supplies
    where circulating_usd is not null
    group by utc_date, stablecoin_id
),

days as (
    select
        utc_date,
        string_agg(symbol, ', ' order by symbol, stablecoin_id) as stablecoins,
        count(*) as stablecoin_count,
        sum(chains_usd) as chains_usd,
        sum(chains_usd) filter (where coin_usd is not null) as compared_usd,
        sum(coin_usd) as coins_usd
    from coins
    group by utc_date
),

chains as (
    select
        chain,
        utc_date,
        sum(circulating_usd) as circulating_usd,
        string_agg(symbol, ', ' order by symbol, stablecoin_id) as chain_stablecoins
    from chain_supplies
    where circulating_usd is not null
    group by chain, utc_date
),

changed as (
    select
        chains.chain,
        chains.utc_date,
        chains.circulating_usd,
        chains.chain_stablecoins,
        days.stablecoins,
        days.stablecoin_count,
        days.chains_usd,
        days.compared_usd,
        days.coins_usd,
        case
            when days.stablecoins = max(days.stablecoins) over days_7
                then chains.circulating_usd - max(chains.circulating_usd) over days_7
        end as net_7d_change_usd,
        case
            when days.stablecoins = max(days.stablecoins) over days_30
                then chains.circulating_usd - max(chains.circulating_usd) over days_30
        end as net_30d_change_usd,
        case
            when days.stablecoins = max(days.stablecoins) over days_90
                then chains.circulating_usd - max(chains.circulating_usd) over days_90
        end as net_90d_change_usd
    from chains
    inner join days on chains.utc_date = days.utc_date
    window
        days_7 as (
            partition by chains.chain order by chains.utc_date
            range between interval 7 days preceding and interval 7 days preceding
        ),
        days_30 as (
            partition by chains.chain order by chains.utc_date
            range between interval 30 days preceding and interval 30 days preceding
        ),
        days_90 as (
            partition by chains.chain order by chains.utc_date
            range between interval 90 days preceding and interval 90 days preceding
        )
)

select
    changed.chain,
    changed.utc_date,
    cast(changed.circulating_usd as decimal(38, 8)) as circulating_usd,
    cast(changed.net_7d_change_usd as decimal(38, 8)) as net_7d_change_usd,
    cast(changed.net_30d_change_usd as decimal(38, 8)) as net_30d_change_usd,
    cast(changed.net_90d_change_usd as decimal(38, 8)) as net_90d_change_usd,
    cast(changed.circulating_usd as double)
    / nullif(cast(totals.total_circulating_usd as double), 0) as share_ratio,
    cast(changed.circulating_usd as double) / nullif(cast(changed.chains_usd as double), 0) as chain_share_ratio,
    changed.chain_stablecoins,
    changed.stablecoins,
    changed.stablecoin_count,
    cast(changed.compared_usd as double) / nullif(cast(changed.coins_usd as double), 0) as chain_sum_ratio,
    cast(changed.chains_usd as double)
    / nullif(cast(totals.total_circulating_usd as double), 0) as covered_share_ratio
from changed
left join totals on changed.utc_date = totals.utc_date
