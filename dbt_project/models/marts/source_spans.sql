-- Flows, order books and vintages carry their bodies themselves; everything else is listed here, by runs of days.
{%- set keyed = {
    'asset_caps': ['upstream', 'asset'],
    'chain_tvl': ["'defillama'", 'chain'],
    'coin_snapshots': ["'coingecko'", "'*'"],
    'dex_volumes': ["'defillama'", 'chain'],
    'funding_rates': ['exchange', 'symbol'],
    'imported_caps': ["'import'", "'*'"],
    'imported_etf_flows': ["'import'", "'*'"],
    'macro_observations': ['upstream', 'series_id'],
    'open_interest': ['exchange', 'symbol'],
    'perpetual_depth': ['exchange', 'symbol'],
    'perpetual_flows': ['exchange', 'symbol'],
    'perpetual_metrics': ['exchange', 'symbol'],
    'stablecoin_chain_supplies': ["'defillama'", 'stablecoin_id'],
    'stablecoin_supplies': ["'defillama'", 'stablecoin_id'],
    'stablecoin_totals': ["'defillama'", "'*'"],
} %}
{%- set undated = {
    'perpetual_symbols': 'exchange',
    'spot_symbols': 'exchange',
    'stablecoins': "'defillama'",
} %}

with cited as (
    {% for dataset, keys in keyed.items() -%}
        select distinct
            '{{ dataset }}' as dataset,
            {{ keys[0] }} as upstream,
            {{ keys[1] }} as series,
            utc_date,
            body_sha256
        from {{ ref('stg_' ~ dataset) }}
        union all
    {% endfor -%}
    {% for dataset, upstream in undated.items() -%}
        select distinct
            '{{ dataset }}' as dataset,
            {{ upstream }} as upstream,
            '*' as series,
            cast(null as date) as utc_date,
            body_sha256
        from {{ ref('stg_' ~ dataset) }}
        {{ 'union all' if not loop.last }}
    {% endfor -%}
),

-- Within a run of days that name the same body both numbers grow together.
numbered as (
    select
        *,
        row_number() over (partition by dataset, upstream, series order by utc_date, body_sha256)
        - row_number() over (partition by dataset, upstream, series, body_sha256 order by utc_date) as run_number
    from cited
)

select
    dataset,
    upstream,
    series,
    row_number() over (
        partition by dataset, upstream, series order by min(utc_date), body_sha256
    ) as span_number,
    min(utc_date) as first_date,
    max(utc_date) as last_date,
    count(utc_date) as day_count,
    body_sha256
from numbered
group by dataset, upstream, series, body_sha256, run_number
