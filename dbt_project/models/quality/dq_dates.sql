{#- Series that always arrive with their whole history may begin before the run does. -#}
{%- set tables = {
    'spot_flows': 'raw_rows.utc_date between run.first_date and run.last_date',
    'taker_estimates': 'raw_rows.utc_date <= run.last_date',
    'stablecoin_totals': 'raw_rows.utc_date <= run.last_date',
    'stablecoin_supplies': 'raw_rows.utc_date <= run.last_date',
    'stablecoin_chain_supplies': 'raw_rows.utc_date <= run.last_date',
    'asset_caps': 'raw_rows.utc_date <= run.last_date',
    'macro_observations': 'raw_rows.utc_date <= run.last_date',
    'chain_tvl': 'raw_rows.utc_date <= run.last_date',
    'dex_volumes': 'raw_rows.utc_date <= run.last_date',
} -%}
with run as (select * from {{ ref('int_run_selected') }})

{% for table, is_inside in tables.items() -%}
    select
        '{{ table }}' as table_name,
        count(*) as row_count,
        count(*) filter (where not ({{ is_inside }})) as outside_count
    from {{ source('raw', table) }} as raw_rows
    cross join run
    {{ 'union all' if not loop.last }}
{% endfor %}
