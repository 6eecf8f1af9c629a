with supplies as (select * from {{ ref('stg_stablecoin_supplies') }}),

peg_values as (
    select
        peg_type,
        utc_date,
        cast(circulating_usd as double) / nullif(cast(circulating_peg as double), 0) as peg_price
    from {{ ref('stg_stablecoin_totals') }}
)

select
    supplies.stablecoin_id,
    supplies.symbol,
    supplies.peg_type,
    supplies.utc_date,
    supplies.circulating_peg,
    case
        -- Each branch is a decimal: beside a double, what needs no conversion would go through one.
        when supplies.peg_type = 'peggedUSD' then cast(supplies.circulating_peg as decimal(38, 8))
        -- A product of two doubles is the same on every run; the sums over it are sums of decimals.
        else cast(round(cast(supplies.circulating_peg as double) * peg_values.peg_price, 8) as decimal(38, 8))
    end as circulating_usd,
    supplies.peg_type <> 'peggedUSD' as is_usd_flagged
from supplies
left join peg_values
    on
        supplies.peg_type = peg_values.peg_type
        and supplies.utc_date = peg_values.utc_date
