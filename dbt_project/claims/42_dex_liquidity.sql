-- sentence: Liquidity on decentralised exchanges is under pressure.
-- unit: ratio
-- rule: value is the change of the value locked, mean of the newest 30 days against that of the 30 days a year before.
--   Supported where value locked, volume of decentralised exchanges and their volume against that of the covered
--   centralised ones all fell; contradicted where none that is known did; else partly, and at most partly where only
--   the value locked is known. Days flagged as volumes that were never traded are left out. Value locked moves with the
--   price of what is locked; control: Bitcoin's price over the same days.
with newest as (
    select max(utc_date) as utc_date from daily_dex_liquidity where tvl_usd is not null
),

days as (
    select
        liquidity.utc_date,
        newest.utc_date - liquidity.utc_date < 30 as is_now,
        cast(liquidity.tvl_usd as double) as tvl_usd,
        case when not coalesce(liquidity.is_dex_volume_flagged, false) then cast(liquidity.dex_volume_usd as double) end
            as dex_volume_usd,
        case when not coalesce(liquidity.is_dex_volume_flagged, false) then liquidity.dex_cex_volume_ratio end
            as dex_cex_ratio,
        liquidity.is_dex_volume_flagged
    from newest
    inner join daily_dex_liquidity as liquidity
        on
            newest.utc_date - liquidity.utc_date between 0 and 29
            or newest.utc_date - liquidity.utc_date between 365 and 394
),

changes as (
    select
        avg(tvl_usd) filter (where is_now) / avg(tvl_usd) filter (where not is_now) - 1 as tvl_ratio,
        avg(dex_volume_usd) filter (where is_now) / avg(dex_volume_usd) filter (where not is_now) - 1 as volume_ratio,
        avg(dex_cex_ratio) filter (where is_now) / avg(dex_cex_ratio) filter (where not is_now) - 1 as dex_cex_ratio,
        avg(tvl_usd) filter (where is_now) as tvl_usd,
        count(tvl_usd) filter (where is_now) as now_days,
        count(tvl_usd) filter (where not is_now) as earlier_days,
        count(*) filter (where is_dex_volume_flagged) as flagged_days
    from days
),

bitcoin as (
    select
        avg(close_price_usd) filter (where newest.utc_date - flows.utc_date < 30)
        / avg(close_price_usd) filter (where newest.utc_date - flows.utc_date >= 365) - 1 as price_ratio
    from newest
    inner join daily_asset_flows as flows
        on
            flows.base_asset = 'BTC'
            and (
                newest.utc_date - flows.utc_date between 0 and 29
                or newest.utc_date - flows.utc_date between 365 and 394
            )
),

judged as (
    select
        *,
        coalesce(now_days >= 25 and earlier_days >= 25, false) as is_known,
        case when tvl_ratio < 0 then 1 else 0 end
        + case when volume_ratio < 0 then 1 else 0 end
        + case when dex_cex_ratio < 0 then 1 else 0 end as fallen_count
    from changes
)

select
    newest.utc_date,
    judged.tvl_ratio as value,
    bitcoin.price_ratio as control_value,
    cast(null as double) as p_value,
    case
        when not judged.is_known then 'no data'
        when judged.fallen_count = 3 then 'supported'
        when judged.fallen_count = 0 then 'contradicted'
        else 'partly'
    end as verdict,
    case
        when not judged.is_known then 'no value locked of 30 days now and a year before'
        else concat_ws(
            '; ',
            format(
                'value locked {:.1f} billion dollars, {:+.1f} % in a year', judged.tvl_usd / 1e9, 100 * judged.tvl_ratio
            ),
            format('Bitcoin''s price {:+.1f} %', 100 * bitcoin.price_ratio),
            coalesce(
                format('volume of decentralised exchanges {:+.1f} %', 100 * judged.volume_ratio),
                'volume of decentralised exchanges is not stored'
            ),
            format('against centralised ones {:+.1f} %', 100 * judged.dex_cex_ratio),
            case when judged.flagged_days > 0 then format('{} flagged days left out', judged.flagged_days) end
        )
    end as evidence
from newest
cross join judged
cross join bitcoin
