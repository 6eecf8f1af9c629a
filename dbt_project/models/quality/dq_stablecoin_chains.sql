-- R19: what DefiLlama reports per chain adds up to what it reports for the coin.
with chains as (
    select
        stablecoin_id,
        utc_date,
        sum(circulating_peg) as chains_peg
    from {{ ref('stg_stablecoin_chain_supplies') }}
    group by stablecoin_id, utc_date
),

compared as (
    select
        coins.stablecoin_id,
        coins.symbol,
        coins.utc_date,
        abs(cast(chains.chains_peg - coins.circulating_peg as double)) / cast(coins.circulating_peg as double)
            as deviation_ratio
    from {{ ref('stg_stablecoin_supplies') }} as coins
    inner join chains
        on
            coins.stablecoin_id = chains.stablecoin_id
            and coins.utc_date = chains.utc_date
    where coins.circulating_peg > 0 and chains.chains_peg is not null
)

select
    stablecoin_id,
    min(symbol) as symbol,
    count(*) as compared_days,
    count(*) filter (where deviation_ratio <= 0.005) as within_days,
    cast(count(*) filter (where deviation_ratio <= 0.005) as double) / count(*) as within_ratio,
    max(deviation_ratio) as worst_deviation_ratio,
    min_by(utc_date, (-deviation_ratio, utc_date)) as worst_date
from compared
group by stablecoin_id
