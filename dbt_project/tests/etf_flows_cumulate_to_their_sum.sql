select
    max_by(cumulative_net_flow_usd, utc_date) as last_usd,
    sum(net_flow_usd) as summed_usd
from {{ ref('etf_flows_daily') }}
having max_by(cumulative_net_flow_usd, utc_date) <> sum(net_flow_usd)
