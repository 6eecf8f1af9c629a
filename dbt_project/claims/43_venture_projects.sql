-- sentence: Projects backed by venture capital close down.
-- unit: count
-- rule: not measurable: who was backed by whom, and why a project closed, is in no public market data.
select
    cast(null as date) as utc_date,
    cast(null as double) as value,
    cast(null as double) as control_value,
    cast(null as double) as p_value,
    'not measurable' as verdict,
    'no keyless source names backers or reasons; that coins are delisted is claim 38' as evidence
