{{ config(materialized="incremental") }}
-- depends_on: {{ ref('int_days_changed') }}
with flows as (
    select * from {{ ref('int_spot_flows_converted') }}
    {% if is_incremental() %}where utc_date in {{ days_changed() }}{% endif %}
)

select
    base_asset,
    asset_class,
    utc_date,
    sum(volume_usd) as volume_usd
from flows
where volume_usd is not null
group by base_asset, asset_class, utc_date
