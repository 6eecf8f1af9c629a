-- sentence: The flow in altcoins is toxic.
-- unit: ratio
-- rule: value is VPIN, the mean of |net| / volume over the newest 50 buckets of equal volume. Its level says nothing
--   without a null, so supported only where fewer than 5 % of 50 consecutive buckets drawn from the whole history are
--   as high; else contradicted. Control: Bitcoin's VPIN, with its own null.
with measured as (
    select
        max(last_date) as utc_date,
        max(case when scope = 'ALT' then value end) as alt_ratio,
        max(case when scope = 'ALT' then p_value end) as alt_p,
        max(case when scope = 'ALT' then ci_low end) as alt_low_ratio,
        max(case when scope = 'ALT' then ci_high end) as alt_high_ratio,
        max(case when scope = 'ALT' then observation_count end) as bucket_count,
        max(case when scope = 'BTC' then value end) as btc_ratio,
        max(case when scope = 'BTC' then p_value end) as btc_p
    from market_statistics
    where statistic = 'vpin_50_buckets'
)

select
    utc_date,
    alt_ratio as value,
    btc_ratio as control_value,
    alt_p as p_value,
    case
        when alt_p is null then 'no data'
        when alt_p < 0.05 then 'supported'
        else 'contradicted'
    end as verdict,
    case
        when alt_p is null then 'no covered stretch of a year'
        else format(
            'VPIN {:.4f}, 95 % of the history between {:.4f} and {:.4f} (p {:.3f}, {} buckets); Bitcoin {:.4f} '
            || '(p {:.3f})',
            alt_ratio, alt_low_ratio, alt_high_ratio, alt_p, bucket_count, btc_ratio, btc_p
        )
    end as evidence
from measured
