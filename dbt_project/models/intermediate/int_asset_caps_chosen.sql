with reported as (select * from {{ ref('int_asset_caps_named') }}),

supplies as (select * from {{ ref('int_stablecoin_supplies_converted') }}),

prices as (select * from {{ ref('int_asset_prices_chosen') }}),

classes as (select * from {{ ref('int_assets_classified') }}),

snapshots as (
    select
        asset,
        utc_date,
        era_date,
        is_stablecoin,
        supply_in_asset_units
    from {{ ref('int_coin_snapshots_matched') }}
    where asset is not null and supply_in_asset_units > 0
),

closes as (select * from prices where price_kind = 'close'),

closes_with_snapshots as (
    select closes.*
    from closes
    semi join snapshots on closes.asset = snapshots.asset and closes.era_date = snapshots.era_date
),

-- Within one era of the price series: the nearest snapshot before, or for days before the first one that first one.
earlier as (
    select
        closes.asset,
        closes.utc_date,
        closes.price_usd,
        closes.era_date,
        snapshots.utc_date as snapshot_date,
        snapshots.supply_in_asset_units,
        snapshots.is_stablecoin
    from closes_with_snapshots as closes
    asof left join snapshots
        on
            closes.asset = snapshots.asset
            and closes.era_date = snapshots.era_date
            and closes.utc_date >= snapshots.utc_date
),

later as (
    select
        earlier.asset,
        earlier.utc_date,
        earlier.price_usd,
        snapshots.utc_date as snapshot_date,
        snapshots.supply_in_asset_units,
        snapshots.is_stablecoin
    from earlier
    asof inner join snapshots
        on
            earlier.asset = snapshots.asset
            and earlier.era_date = snapshots.era_date
            and earlier.utc_date < snapshots.utc_date
    where earlier.snapshot_date is null
),

estimated as (
    select
        asset,
        utc_date,
        price_usd,
        snapshot_date,
        supply_in_asset_units,
        is_stablecoin
    from earlier
    where snapshot_date is not null
    union all by name
    -- The supply of a stablecoin is what changes, not its price: a later one says nothing.
    select * from later where not is_stablecoin
),

candidates as (
    select
        asset,
        utc_date,
        cap_usd,
        price_usd,
        'reported' as source_kind,
        1 as preference,
        cast(null as date) as snapshot_date
    from reported
    where cap_usd is not null
    union all
    select
        upper(supplies.symbol) as asset,
        supplies.utc_date,
        supplies.circulating_usd as cap_usd,
        cast(null as double) as price_usd,
        'pegged_supply' as source_kind,
        2 as preference,
        cast(null as date) as snapshot_date
    from supplies
    left join closes
        on
            upper(supplies.symbol) = closes.asset
            and supplies.utc_date = closes.utc_date
    left join classes
        on
            upper(supplies.symbol) = classes.asset
            and supplies.utc_date >= classes.valid_from
            and supplies.utc_date < classes.valid_to
    where
        supplies.circulating_usd is not null
        -- A failed stablecoin is not worth its claim, and without a price nobody knows what it is worth.
        and not (
            supplies.peg_type = 'peggedUSD'
            and coalesce(classes.asset_class = 'stablecoin' and not classes.is_usd_pegged, false)
        )
        -- Beyond that the ticker is another coin's, or the peg is broken and the supply no longer worth its peg.
        and (
            closes.asset is null
            or closes.price_usd * cast(supplies.circulating_peg as double)
            between 0.5 * cast(supplies.circulating_usd as double) and 2 * cast(supplies.circulating_usd as double)
        )
    union all
    select
        asset,
        utc_date,
        cast(round(price_usd * supply_in_asset_units, 2) as decimal(38, 8)) as cap_usd,
        price_usd,
        'estimated' as source_kind,
        3 as preference,
        snapshot_date
    from estimated
),

chosen as (
    select *
    from candidates
    qualify row_number() over (partition by asset, utc_date order by preference asc, cap_usd desc) = 1
)

select
    chosen.asset,
    chosen.utc_date,
    case
        when chosen.source_kind = 'pegged_supply' then 'stablecoin'
        else coalesce(classes.asset_class, 'altcoin')
    end as asset_class,
    chosen.cap_usd,
    chosen.price_usd,
    chosen.source_kind,
    chosen.source_kind = 'estimated' as is_estimated,
    chosen.snapshot_date
from chosen
left join classes
    on
        chosen.asset = classes.asset
        and chosen.utc_date >= classes.valid_from
        and chosen.utc_date < classes.valid_to
