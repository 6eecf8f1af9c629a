with judged as (select * from {{ ref('int_claims_judged') }})

select
    claim_id,
    utc_date,
    sentence,
    sql,
    value,
    unit,
    verdict,
    rule,
    evidence,
    control_value,
    p_value
from judged
