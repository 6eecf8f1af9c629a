-- Two rows of one asset that hold on the same day would count its flow twice.
with classes as (
    select
        asset,
        coalesce(valid_from, date '1970-01-01') as valid_from,
        coalesce(valid_to, date '9999-12-31') as valid_to
    from {{ ref('asset_classification') }}
)

select
    asset,
    valid_from,
    valid_to
from classes
qualify
    valid_from >= valid_to
    or valid_from < lag(valid_to) over (partition by asset order by valid_from, valid_to)
