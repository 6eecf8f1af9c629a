{#- Series that always arrive with their whole history may begin before the run does. -#}
{%- set tables = {
    'spot_flows': true,
    'stablecoin_totals': false,
    'stablecoin_supplies': false,
    'stablecoin_chain_supplies': false,
    'asset_caps': false,
    'macro_observations': false,
} -%}
with run as (select * from {{ ref('int_run_selected') }}),

counted as (
    {%- for table, is_bounded_by_start in tables.items() %}
        select
            '{{ table }}' as table_name,
            count(*) as row_count,
            count(*) filter (
                where raw_rows.utc_date
                > run.last_date{{ ' or raw_rows.utc_date < run.first_date' if is_bounded_by_start }}
            ) as outside_count
        from {{ source('raw', table) }} as raw_rows
        cross join run
                {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select
    table_name,
    row_count,
    outside_count
from counted
