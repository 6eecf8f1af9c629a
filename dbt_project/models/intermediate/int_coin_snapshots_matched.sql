-- CoinGecko's tickers are not unique, and some name another coin than the exchange's. A coin is joined with an asset
-- by the seed, else as a listed stablecoin, else by its ticker if it is the only coin of weight under it; by ticker
-- only where the asset still trades when the snapshot is taken and the price says that it is the same coin.
with coins as (
    select
        coin_id,
        symbol,
        name,
        utc_date,
        price_usd,
        cap_usd,
        circulating_supply_base
    from {{ ref('stg_coin_snapshots') }}
),

mappings as (
    select
        upstream_asset as coin_id,
        asset,
        units_per_asset,
        coalesce(valid_from, date '0001-01-01') as valid_from,
        coalesce(valid_to, date '9999-12-31') as valid_to
    from {{ ref('cap_assets') }}
    where upstream = 'coingecko'
),

stablecoins as (
    select
        gecko_id as coin_id,
        upper(min(symbol)) as asset
    from {{ ref('stg_stablecoins') }}
    where gecko_id is not null
    group by gecko_id
),

classes as (select * from {{ ref('int_assets_classified') }}),

prices as (select * from {{ ref('int_asset_prices_chosen') }}),

runs as (select * from {{ ref('int_run_selected') }}),

candidates as (
    select
        coins.*,
        case
            when mappings.coin_id is not null then 'seed'
            when stablecoins.coin_id is not null then 'stablecoin'
            else 'ticker'
        end as match_kind,
        coalesce(mappings.units_per_asset, 1) as units_per_asset,
        case when mappings.coin_id is not null then mappings.asset else coalesce(stablecoins.asset, coins.symbol) end
            as candidate_asset,
        stablecoins.coin_id is not null as is_listed_stablecoin,
        -- Copies of a coin on another chain, and receipts for staked ones, are counted with the coin itself.
        regexp_matches(
            lower(coins.coin_id || ' ' || coins.name), 'wrapped|bridged|binance-peg|binance pegged|staked'
        ) as is_named_as_copy
    from coins
    left join mappings
        on
            coins.coin_id = mappings.coin_id
            and coins.utc_date >= mappings.valid_from
            and coins.utc_date < mappings.valid_to
    left join stablecoins on coins.coin_id = stablecoins.coin_id
),

classified as (
    select
        candidates.*,
        coalesce(candidates.is_named_as_copy, false) or coalesce(classes.asset_class = 'wrapped_or_staked', false)
            as is_copy,
        candidates.is_listed_stablecoin or coalesce(classes.asset_class = 'stablecoin', false) as is_stablecoin,
        -- Fiat, leveraged tokens and shares have no market capitalisation of their own.
        coalesce(classes.asset_class in ('fiat', 'leveraged', 'equity'), false) as is_unlike
    from candidates
    left join classes
        on
            candidates.candidate_asset = classes.asset
            and candidates.utc_date >= classes.valid_from
            and candidates.utc_date < classes.valid_to
),

priced as (
    select
        classified.*,
        prices.era_date,
        coalesce(
            case
                when prices.asset is null or classified.price_usd is null then classified.match_kind = 'stablecoin'
                -- A week apart one coin has about one price; months apart only another unit or another coin stands out.
                when classified.utc_date - prices.utc_date <= 7
                    then classified.price_usd * classified.units_per_asset / prices.price_usd between 0.667 and 1.5
                else classified.price_usd * classified.units_per_asset / prices.price_usd between 0.033 and 30
            end, false
        ) as is_same_price,
        coalesce(prices.utc_date >= least(classified.utc_date, runs.last_date) - 30, false) as is_trading,
        exists(
            select 1 from mappings
            where
                classified.candidate_asset = mappings.asset
                and classified.utc_date >= mappings.valid_from
                and classified.utc_date < mappings.valid_to
        ) as is_asset_mapped
    from classified
    asof left join prices
        on
            classified.candidate_asset = prices.asset
            and classified.utc_date >= prices.utc_date
    cross join runs
),

ranked as (
    select
        *,
        case match_kind
            when 'seed' then true
            when 'stablecoin' then not is_asset_mapped
            else is_trading and not is_asset_mapped
        end
        and is_same_price and not is_copy and not is_unlike and candidate_asset is not null as is_eligible
    from priced
),

rivalled as (
    select
        *,
        row_number() over rivals as rival_rank,
        coalesce(lead(cap_usd) over rivals, 0) as next_cap_usd,
        coalesce(lead(match_kind) over rivals = match_kind, false) as has_rival
    from ranked
    window rivals as (
        partition by candidate_asset, utc_date, is_eligible
        order by
            case match_kind when 'seed' then 1 when 'stablecoin' then 2 else 3 end asc,
            cap_usd desc nulls last,
            coin_id asc
    )
)

select
    coin_id,
    utc_date,
    symbol,
    name,
    case
        when is_eligible and rival_rank = 1 and (not has_rival or cap_usd >= 10 * next_cap_usd) then candidate_asset
    end as asset,
    units_per_asset,
    match_kind,
    coalesce(era_date, date '1970-01-01') as era_date,
    cast(cap_usd as decimal(38, 8)) as cap_usd,
    cast(circulating_supply_base as double) / units_per_asset as supply_in_asset_units,
    is_copy,
    is_stablecoin
from rivalled
