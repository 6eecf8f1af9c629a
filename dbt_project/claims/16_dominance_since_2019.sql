-- sentence: Bitcoin's dominance stands at levels not seen since 2019.
-- unit: ratio
-- rule: value is the centred 7-day median of Bitcoin's share of the whole market's capitalisation, control its highest
--   between 2020-01-01 and 365 days before. Supported where the value is above that and at least 365 days with the same
--   coins could be compared; partly where fewer could; contradicted where it is not above. Single ticks are wrong by up
--   to nine points. Where the covered coins hold less than 85 % of the market, or its total is not known, there is no
--   share and no verdict.
with shares as (
    select
        utc_date,
        definition_id,
        btc_share_7d_median_ratio as share_ratio,
        comparable_days
    from daily_dominance
    where
        definition_id in ('cap_all', 'cap_imported', 'cap_reported') and btc_share_7d_median_ratio is not null
),

newest as (
    select
        max(utc_date) as utc_date,
        arg_max(definition_id, utc_date) as definition_id,
        arg_max(share_ratio, utc_date) as share_ratio,
        arg_max(comparable_days, utc_date) as comparable_days
    from shares
),

earlier as (
    select
        max(shares.share_ratio) as highest_ratio,
        arg_max(shares.utc_date, shares.share_ratio) as highest_date
    from shares
    inner join newest
        on shares.definition_id = newest.definition_id and shares.utc_date <= newest.utc_date - 365
    where shares.utc_date >= '2020-01-01'
),

covered as (
    select
        max(utc_date) as utc_date,
        arg_max(covered_btc_share_ratio, utc_date) as share_ratio,
        arg_max(asset_count, utc_date) as asset_count,
        arg_max(estimated_ratio, utc_date) as estimated_ratio
    from daily_dominance
    where definition_id = 'cap_all' and covered_btc_share_ratio is not null
)

select
    newest.utc_date,
    newest.share_ratio as value,
    earlier.highest_ratio as control_value,
    null as p_value,
    case
        when newest.share_ratio is null or earlier.highest_ratio is null then 'no data'
        when newest.share_ratio <= earlier.highest_ratio then 'contradicted'
        when newest.comparable_days >= 365 then 'supported'
        else 'partly'
    end as verdict,
    case
        when newest.share_ratio is null or earlier.highest_ratio is null
            then concat_ws(
                '; ',
                'no two years of days on which the covered coins are known to hold 85 % of the market',
                format(
                    'among {} covered coins Bitcoin has {:.1f} % on {}, {:.0f} % of it estimated: no share of the '
                    || 'market',
                    covered.asset_count, 100 * covered.share_ratio, covered.utc_date, 100 * covered.estimated_ratio
                )
            )
        else format(
            '{:.1f} % in {}, highest since 2020 and up to a year before {:.1f} % on {}; {} days compared',
            100 * newest.share_ratio, newest.definition_id, 100 * earlier.highest_ratio, earlier.highest_date,
            coalesce(newest.comparable_days, 0)
        )
    end as evidence
from newest
cross join earlier
cross join covered
