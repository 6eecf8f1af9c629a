with windows(window_name, window_day_count, anchor_date) as (
    values
    ('rolling_365d', 365, cast(null as date)),
    ('rolling_90d', 90, null),
    ('since_2020', null, date '2020-01-01'),
    ('since_2025', null, date '2025-01-01'),
    ('year_to_date', null, null)
),

universes as (select unnest(['ex_btc_eth', 'ex_btc']) as universe),

quote_sets as (select unnest(['all', 'usd_pegged']) as quotes),

trust_sets as (select unnest(['all', 'trusted']) as trust),

panels as (select unnest(['all', 'fixed']) as panel)

select
    windows.window_name || '.' || universes.universe || '.' || quote_sets.quotes || '.' || trust_sets.trust
    || case when panels.panel = 'fixed' then '.fixed_panel' else '' end as definition_id,
    windows.window_name,
    universes.universe,
    quote_sets.quotes,
    trust_sets.trust,
    panels.panel,
    windows.window_day_count,
    windows.anchor_date
from windows
cross join universes
cross join quote_sets
cross join trust_sets
cross join panels
where panels.panel = 'all' or windows.window_name = 'rolling_365d'
