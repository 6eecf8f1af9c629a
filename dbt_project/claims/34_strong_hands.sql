-- sentence: Coins move from weak to strong hands.
-- unit: ratio
-- rule: not measurable: who holds a coin is not in public trades, and size of a trade is no proof of who made it.
select
    cast(null as date) as utc_date,
    cast(null as double) as value,
    cast(null as double) as control_value,
    cast(null as double) as p_value,
    'not measurable' as verdict,
    'trades do not name their parties; order flow says who was the aggressor, not who holds' as evidence
