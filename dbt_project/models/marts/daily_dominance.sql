with definitions as (select * from {{ ref('dominance_definitions') }}),

caps as (
    select
        asset,
        utc_date,
        asset_class,
        cap_usd as amount_usd,
        is_estimated,
        'cap' as measure
    from {{ ref('int_asset_caps_chosen') }}
    -- Wrapped and staked forms are counted with the coin itself; the others have no capitalisation of their own.
    where asset_class not in ('wrapped_or_staked', 'leveraged', 'equity', 'fiat')
),

-- Snapshots that a user imported: whole markets, as their maker counts them. Without any there is no definition here.
imported as (
    select
        coins.asset,
        coins.utc_date,
        case
            when coins.asset = 'BTC' then 'bitcoin'
            when coins.asset = 'ETH' then 'ether'
            when classes.asset_class = 'stablecoin' then 'stablecoin'
            else 'altcoin'
        end as asset_class,
        coins.cap_usd as amount_usd,
        false as is_estimated,
        'imported' as measure
    from {{ ref('stg_imported_caps') }} as coins
    left join {{ ref('int_assets_classified') }} as classes
        on
            coins.asset = classes.asset
            and coins.utc_date >= classes.valid_from
            and coins.utc_date < classes.valid_to
    where coins.utc_date <= (select run.last_date from {{ ref('int_run_selected') }} as run)
),

reported as (
    select
        asset,
        utc_date,
        asset_class,
        cap_usd as amount_usd,
        false as is_estimated,
        'reported' as measure
    from {{ ref('int_asset_caps_chosen') }}
    where
        source_kind = 'reported'
        and asset_class not in ('wrapped_or_staked', 'leveraged', 'equity', 'fiat')
        and exists (select 1 from imported)
),

volumes as (
    select
        base_asset as asset,
        utc_date,
        asset_class,
        volume_usd as amount_usd,
        false as is_estimated,
        'volume' as measure
    from {{ ref('int_asset_volumes_summed') }}
    where asset_class not in ('equity', 'fiat')
),

amounts as (
    select * from caps
    union all by name
    select * from reported
    union all by name
    select * from imported
    union all by name
    select * from volumes
),

listed as (
    select
        definitions.definition_id,
        definitions.largest_count,
        amounts.utc_date,
        amounts.asset,
        amounts.asset_class,
        amounts.amount_usd,
        amounts.is_estimated
    from amounts
    inner join definitions
        on
            amounts.measure = definitions.measure
            and not (definitions.is_ex_stablecoin and amounts.asset_class = 'stablecoin')
),

-- Only a definition of the largest needs ranks.
counted as (
    select * from listed
    where largest_count is null
    union all
    select * from listed
    where largest_count is not null
    qualify
        row_number() over (partition by definition_id, utc_date order by amount_usd desc, asset asc) <= largest_count
),

-- The set is that of all covered assets: the 125 largest change places every day, that is no change of coverage.
sets as (
    select
        definition_id,
        utc_date,
        md5(array_to_string(list_sort(list(asset)), ',')) as coin_set_id
    from listed
    group by definition_id, utc_date
),

summed as (
    select
        definition_id,
        utc_date,
        count(*) as asset_count,
        sum(amount_usd) as covered_usd,
        sum(amount_usd) filter (where asset = 'BTC') as btc_usd,
        sum(amount_usd) filter (where asset = 'ETH') as eth_usd,
        coalesce(sum(amount_usd) filter (where asset_class = 'stablecoin'), 0) as stablecoin_usd,
        coalesce(
            sum(amount_usd) filter (where asset not in ('BTC', 'ETH') and asset_class <> 'stablecoin'), 0
        ) as other_usd,
        coalesce(sum(amount_usd) filter (where is_estimated), 0) as estimated_usd,
        count(*) filter (where is_estimated) as estimated_count
    from counted
    group by definition_id, utc_date
),

-- Before Ether exists its share is 0; a day of its life on which it is missing has no shares at all.
covered as (
    select
        *,
        btc_usd is not null
        and (
            eth_usd is not null
            or coalesce(
                utc_date < min(utc_date) filter (where eth_usd is not null) over (partition by definition_id), true
            )
        )
        and covered_usd > 0 as has_both
    from summed
),

-- The full total is known on days with a snapshot of the whole market.
market as (
    select
        definitions.definition_id,
        definitions.largest_count,
        coins.utc_date,
        coins.cap_usd,
        coins.is_stablecoin,
        listed.asset is not null as is_covered,
        row_number() over (
            partition by definitions.definition_id, coins.utc_date
            order by coins.cap_usd desc nulls last, coins.coin_id asc
        ) as size_rank
    from {{ ref('int_coin_snapshots_matched') }} as coins
    inner join definitions
        on
            definitions.measure = 'cap'
            and not (definitions.is_ex_stablecoin and coins.is_stablecoin)
    left join listed
        on
            definitions.definition_id = listed.definition_id
            and coins.utc_date = listed.utc_date
            and coins.asset = listed.asset
    where not coins.is_copy
),

-- Between two imported snapshots the last one stands, for 35 days: they come once a month.
imported_totals as (
    select
        utc_date as snapshot_date,
        sum(amount_usd) as total_usd,
        coalesce(sum(amount_usd) filter (where asset_class = 'stablecoin'), 0) as stablecoin_usd
    from imported
    group by utc_date
),

reported_days as (
    select
        days.definition_id,
        days.utc_date,
        imported_totals.snapshot_date,
        imported_totals.total_usd,
        imported_totals.stablecoin_usd
    from (
        select
            summed.definition_id,
            summed.utc_date
        from summed
        inner join definitions on summed.definition_id = definitions.definition_id
        where definitions.measure = 'reported'
    ) as days
    asof inner join imported_totals on days.utc_date >= imported_totals.snapshot_date
    where days.utc_date - imported_totals.snapshot_date <= 35
),

reported_coverage as (
    select
        days.definition_id,
        days.utc_date,
        min(days.total_usd) as total_usd,
        min(days.stablecoin_usd) as stablecoin_usd,
        coalesce(sum(imported.amount_usd), 0) as covered_usd,
        coalesce(sum(imported.amount_usd) filter (where imported.asset_class = 'stablecoin'), 0)
            as covered_stablecoin_usd
    from reported_days as days
    inner join listed on days.definition_id = listed.definition_id and days.utc_date = listed.utc_date
    left join imported on days.snapshot_date = imported.utc_date and listed.asset = imported.asset
    group by days.definition_id, days.utc_date
),

coverage as (
    select
        definition_id,
        utc_date,
        cast(covered_usd as double) / cast(total_usd as double) as covered_cap_ratio,
        cast(stablecoin_usd - covered_stablecoin_usd as double) / cast(total_usd as double)
            as uncovered_stablecoin_ratio,
        cast(total_usd - stablecoin_usd - (covered_usd - covered_stablecoin_usd) as double)
        / cast(total_usd as double) as uncovered_other_ratio
    from reported_coverage
    where total_usd > 0
    union all
    select
        summed.definition_id,
        summed.utc_date,
        1 as covered_cap_ratio,
        0 as uncovered_stablecoin_ratio,
        0 as uncovered_other_ratio
    from summed
    inner join definitions on summed.definition_id = definitions.definition_id
    where definitions.measure = 'imported'
    union all
    select
        definition_id,
        utc_date,
        cast(coalesce(sum(cap_usd) filter (where is_covered), 0) as double) / nullif(cast(sum(cap_usd) as double), 0)
            as covered_cap_ratio,
        cast(coalesce(sum(cap_usd) filter (where not is_covered and is_stablecoin), 0) as double)
        / nullif(cast(sum(cap_usd) as double), 0) as uncovered_stablecoin_ratio,
        cast(coalesce(sum(cap_usd) filter (where not is_covered and not is_stablecoin), 0) as double)
        / nullif(cast(sum(cap_usd) as double), 0) as uncovered_other_ratio
    from market
    where size_rank <= largest_count or largest_count is null
    group by definition_id, utc_date
),

shares as (
    select
        covered.definition_id,
        covered.utc_date,
        covered.asset_count,
        cast(covered.covered_usd as decimal(38, 8)) as covered_usd,
        coverage.covered_cap_ratio,
        coverage.uncovered_stablecoin_ratio,
        coverage.uncovered_other_ratio,
        coalesce(coverage.covered_cap_ratio >= definitions.least_covered_ratio, false) as is_covered,
        sets.coin_set_id,
        covered.estimated_count > 0 as has_estimates,
        cast(covered.estimated_usd as double) / nullif(cast(covered.covered_usd as double), 0) as estimated_ratio,
        case when covered.has_both then cast(covered.btc_usd as double) / cast(covered.covered_usd as double) end
            as covered_btc_share_ratio,
        case
            when covered.has_both
                then cast(coalesce(covered.eth_usd, 0) as double) / cast(covered.covered_usd as double)
        end as covered_eth_share_ratio,
        case
            when covered.has_both then cast(covered.stablecoin_usd as double) / cast(covered.covered_usd as double)
        end as covered_stablecoin_share_ratio,
        case when covered.has_both then cast(covered.other_usd as double) / cast(covered.covered_usd as double) end
            as covered_other_share_ratio
    from covered
    inner join definitions on covered.definition_id = definitions.definition_id
    inner join sets
        on
            covered.definition_id = sets.definition_id
            and covered.utc_date = sets.utc_date
    left join coverage
        on
            covered.definition_id = coverage.definition_id
            and covered.utc_date = coverage.utc_date
),

-- Of the full total: the covered part by our capitalisations, the rest by the snapshot's.
shown as (
    select
        *,
        case when is_covered then covered_btc_share_ratio * covered_cap_ratio end as btc_share_ratio,
        case when is_covered then covered_eth_share_ratio * covered_cap_ratio end as eth_share_ratio,
        case when is_covered then covered_stablecoin_share_ratio * covered_cap_ratio + uncovered_stablecoin_ratio end
            as stablecoin_share_ratio,
        case when is_covered then covered_other_share_ratio * covered_cap_ratio + uncovered_other_ratio end
            as other_share_ratio
    from shares
),

medians as (
    select
        *,
        coin_set_id <> min(coin_set_id) over day_before as is_coin_set_changed,
        case
            when count(btc_share_ratio) over days_7 = 7 and min(coin_set_id) over days_7 = max(coin_set_id) over days_7
                then median(btc_share_ratio) over days_7
        end as btc_share_7d_median_ratio
    from shown
    window
        day_before as (
            partition by definition_id order by utc_date
            range between interval 1 day preceding and interval 1 day preceding
        ),
        days_7 as (
            partition by definition_id order by utc_date
            range between interval 3 days preceding and interval 3 days following
        )
),

compared as (
    select
        today.definition_id,
        today.utc_date,
        count(*) as comparable_days,
        max(earlier.utc_date) filter (where earlier.btc_share_7d_median_ratio > today.btc_share_7d_median_ratio)
            as last_above_date
    from medians as today
    inner join medians as earlier
        on
            today.definition_id = earlier.definition_id
            and today.coin_set_id = earlier.coin_set_id
            and today.utc_date - 365 >= earlier.utc_date
    where today.btc_share_7d_median_ratio is not null and earlier.btc_share_7d_median_ratio is not null
    group by today.definition_id, today.utc_date
)

select
    medians.definition_id,
    medians.utc_date,
    medians.btc_share_ratio,
    medians.eth_share_ratio,
    medians.stablecoin_share_ratio,
    medians.other_share_ratio,
    medians.asset_count,
    medians.covered_cap_ratio,
    medians.covered_usd,
    medians.covered_btc_share_ratio,
    medians.covered_eth_share_ratio,
    medians.covered_stablecoin_share_ratio,
    medians.covered_other_share_ratio,
    medians.has_estimates,
    medians.estimated_ratio,
    medians.coin_set_id,
    medians.is_coin_set_changed,
    medians.btc_share_7d_median_ratio,
    compared.last_above_date,
    coalesce(compared.comparable_days, 0) as comparable_days
from medians
left join compared
    on
        medians.definition_id = compared.definition_id
        and medians.utc_date = compared.utc_date
