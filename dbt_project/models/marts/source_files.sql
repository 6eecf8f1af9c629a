with files as (select * from {{ ref('stg_source_files') }}),

cited as (
    select body_sha256 from {{ ref('stg_spot_flows') }}
    union
    select body_sha256 from {{ ref('stg_spot_symbols') }}
    union
    select body_sha256 from {{ ref('stg_stablecoins') }}
    union
    select body_sha256 from {{ ref('stg_stablecoin_totals') }}
    union
    select body_sha256 from {{ ref('stg_stablecoin_supplies') }}
    union
    select body_sha256 from {{ ref('stg_stablecoin_chain_supplies') }}
    union
    select body_sha256 from {{ ref('stg_asset_caps') }}
    union
    select body_sha256 from {{ ref('stg_coin_snapshots') }}
    union
    select body_sha256 from {{ ref('stg_macro_observations') }}
)

-- The same bytes can arrive more than once: what counts is where and when they were first seen.
select
    files.body_sha256,
    files.upstream,
    files.url,
    files.status,
    files.fetched_at,
    files.byte_count
from files
semi join cited on files.body_sha256 = cited.body_sha256
qualify row_number() over (partition by files.body_sha256 order by files.fetched_at, files.url) = 1
