-- R25: roll365[t] - roll365[t-1] = net[t] - net[t-365], in exact decimals.
select *
from {{ ref('dq_rolling_differences') }}
where violation_count > 0
