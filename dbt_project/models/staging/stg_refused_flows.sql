select
    split_part(row_key, ' ', 1) as exchange,
    split_part(row_key, ' ', 2) as symbol,
    utc_date,
    reason
from {{ source('raw', 'quarantine') }}
where table_name = 'spot_flows' and utc_date is not null
