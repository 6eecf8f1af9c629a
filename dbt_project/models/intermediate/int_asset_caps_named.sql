with caps as (select * from {{ ref('stg_asset_caps') }}),

mappings as (
    select
        upstream,
        upstream_asset,
        asset,
        coalesce(valid_from, date '0001-01-01') as valid_from,
        coalesce(valid_to, date '9999-12-31') as valid_to
    from {{ ref('cap_assets') }}
),

named as (
    select
        caps.upstream,
        caps.asset as upstream_asset,
        caps.utc_date,
        caps.cap_usd,
        caps.price_usd,
        mappings.upstream_asset is not null as is_mapped,
        case
            when mappings.upstream_asset is not null then mappings.asset
            -- usdt_eth is the part of USDT on one chain: it would count twice.
            when not contains(caps.asset, '_') then upper(caps.asset)
        end as asset
    from caps
    left join mappings
        on
            caps.upstream = mappings.upstream
            and caps.asset = mappings.upstream_asset
            and caps.utc_date >= mappings.valid_from
            and caps.utc_date < mappings.valid_to
)

select
    asset,
    utc_date,
    cast(cap_usd as decimal(38, 8)) as cap_usd,
    price_usd,
    upstream,
    upstream_asset
from named
where asset is not null
qualify row_number() over (
    partition by asset, utc_date
    order by is_mapped desc, upstream asc, upstream_asset asc
) = 1
