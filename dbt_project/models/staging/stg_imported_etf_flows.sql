select
    utc_date,
    net_flow_usd,
    body_sha256
from {{ source('raw', 'imported_etf_flows') }}
