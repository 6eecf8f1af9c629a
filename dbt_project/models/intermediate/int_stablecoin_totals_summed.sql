-- DefiLlama's own dollar value of every peg type. A day without peggedUSD, 99.8 % of the whole, has no total.
select
    utc_date,
    case
        when bool_or(peg_type = 'peggedUSD' and circulating_usd is not null)
            then cast(sum(circulating_usd) as decimal(38, 8))
    end as total_circulating_usd
from {{ ref('stg_stablecoin_totals') }}
group by utc_date
