with files as (select * from {{ ref('stg_source_files') }}),

cited as (
    select body_sha256 from {{ ref('stg_spot_flows') }}
    union
    select body_sha256 from {{ ref('stg_spot_symbols') }}
    union
    select body_sha256 from {{ ref('int_taker_estimates_kept') }}
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
    select body_sha256 from {{ ref('stg_macro_vintages') }}
    union
    select body_sha256 from {{ ref('stg_perpetual_flows') }}
    union
    select body_sha256 from {{ ref('stg_funding_rates') }}
    union
    select body_sha256 from {{ ref('stg_open_interest') }}
    union
    select body_sha256 from {{ ref('stg_perpetual_metrics') }}
    union
    select body_sha256 from {{ ref('stg_perpetual_depth') }}
    union
    select body_sha256 from {{ ref('stg_chain_tvl') }}
    union
    select body_sha256 from {{ ref('stg_dex_volumes') }}
    union
    select body_sha256 from {{ ref('stg_order_books') }}
    union
    select body_sha256 from {{ ref('stg_imported_caps') }}
    union
    select body_sha256 from {{ ref('stg_imported_etf_flows') }}
    union
    -- What told a value that was changed again is cited there only.
    select body_sha256 from {{ ref('int_revisions_listed') }}
),

-- The same bytes can arrive more than once: what counts is where and when they were first seen.
first_seen as (
    select files.*
    from files
    semi join cited on files.body_sha256 = cited.body_sha256
    qualify row_number() over (partition by files.body_sha256 order by files.fetched_at, files.url) = 1
),

reduced as (
    select
        body_sha256,
        upstream,
        status,
        fetched_at,
        unnest(
            from_json(files_json, '[{"url": "VARCHAR", "sha256": "VARCHAR", "byte_count": "BIGINT"}]')
        ) as file
    from first_seen
    where files_json is not null
)

select
    body_sha256,
    upstream,
    url,
    status,
    fetched_at,
    byte_count,
    body_sha256 as file_sha256
from first_seen
where files_json is null
union all
select
    body_sha256,
    upstream,
    struct_extract(file, 'url') as url,
    status,
    fetched_at,
    struct_extract(file, 'byte_count') as byte_count,
    struct_extract(file, 'sha256') as file_sha256
from reduced
