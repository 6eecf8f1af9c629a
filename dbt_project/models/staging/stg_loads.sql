select
    load_id,
    run_id,
    table_name,
    end_date,
    loaded_at
from {{ source('raw', 'loads') }}
