-- A ticker can change its class: the validity of the seed is kept, and the days around it are filled.
with symbols as (select * from {{ ref('stg_spot_symbols') }}),

seed as (
    select
        asset,
        asset_class,
        is_usd_pegged,
        coalesce(valid_from, date '1970-01-01') as valid_from,
        coalesce(valid_to, date '9999-12-31') as valid_to,
        'seed' as named_by,
        reason
    from {{ ref('asset_classification') }}
),

listed as (
    select base_asset as asset from symbols
    union
    select quote_asset as asset from symbols
),

assets as (
    select asset from listed
    union
    select asset from seed
),

-- BTCUP is BTC leveraged; JUP would be J leveraged, and nobody lists J.
leveraged as (
    select tokens.asset
    from listed as tokens
    inner join listed as underlyings
        on underlyings.asset = regexp_extract(tokens.asset, '^(.+)(UP|DOWN|BULL|BEAR|3L|3S|5L|5S)$', 1)
),

seed_bounds as (
    select
        asset,
        valid_from,
        valid_to,
        lag(valid_to, 1, date '1970-01-01') over (partition by asset order by valid_from) as free_from,
        row_number() over (partition by asset order by valid_from desc) = 1 as is_last
    from seed
),

unclassified as (
    select
        asset,
        free_from as valid_from,
        valid_from as valid_to
    from seed_bounds
    union all
    select
        asset,
        valid_to as valid_from,
        date '9999-12-31' as valid_to
    from seed_bounds
    where is_last
    union all
    select
        asset,
        date '1970-01-01' as valid_from,
        date '9999-12-31' as valid_to
    from assets
    where asset not in (select seed.asset from seed)
),

by_rule as (
    select
        unclassified.asset,
        case when leveraged.asset is not null then 'leveraged' else 'altcoin' end as asset_class,
        false as is_usd_pegged,
        unclassified.valid_from,
        unclassified.valid_to,
        case when leveraged.asset is not null then 'rule' else 'default' end as named_by,
        case
            when leveraged.asset is not null then 'a listed asset with the ending of a leveraged token'
            else 'not listed as anything else'
        end as reason
    from unclassified
    left join leveraged on unclassified.asset = leveraged.asset
    where unclassified.valid_from < unclassified.valid_to
),

classified as (
    select * from seed
    union all by name
    select * from by_rule
)

select
    asset,
    asset_class,
    case asset_class
        when 'bitcoin' then 'BTC' when 'ether' then 'ETH' when 'altcoin' then 'ALT' when 'stablecoin' then 'STABLE'
        else 'OTHER'
    end as flow_group,
    is_usd_pegged,
    valid_from,
    valid_to,
    named_by,
    reason
from classified
