-- sentence: Retail traders have left altcoins.
-- unit: ratio
-- rule: trades do not name their parties, so at most partly: where the last 365 days have fewer altcoin trades a day
--   than 2021 and these are larger. Both must agree, else contradicted. Value is trades a day over those of 2021,
--   control the same of Bitcoin. The count of coins grows too, an order is filled in several trades, and machines trade
--   small.
with newest as (
    select max(utc_date) as utc_date
    from daily_retail_proxy
    where asset_group = 'ALT' and trade_count_to_mean_ratio is not null
),

alts as (
    select
        newest.utc_date,
        days.trade_count_365d_mean,
        days.mean_trade_365d_usd
    from newest
    left join daily_retail_proxy as days on newest.utc_date = days.utc_date and days.asset_group = 'ALT'
),

months as (
    select
        avg(days.trade_count_to_mean_ratio) as to_mean_ratio,
        sum(cast(days.volume_usd as double)) / nullif(sum(days.trade_count), 0) as mean_trade_usd,
        sum(days.below_1k_count) as below_1k_count,
        sum(days.below_1k_count + days.from_1k_count + days.from_10k_count + days.from_100k_count) as sized_count
    from daily_retail_proxy as days
    cross join newest
    where
        days.asset_group = 'ALT' and days.utc_date > newest.utc_date - 30 and newest.utc_date >= days.utc_date
),

years as (
    select
        case
            when count(*) filter (where asset_group = 'ALT' and year(utc_date) = 2021) >= 300
                then avg(trade_count) filter (where asset_group = 'ALT' and year(utc_date) = 2021)
        end as alt_2021_count,
        sum(cast(volume_usd as double)) filter (where asset_group = 'ALT' and year(utc_date) = 2021)
        / nullif(sum(trade_count) filter (where asset_group = 'ALT' and year(utc_date) = 2021), 0) as alt_2021_usd,
        avg(trade_count) filter (where asset_group = 'ALT' and year(utc_date) = 2024) as alt_2024_count,
        avg(trade_count) filter (where asset_group = 'BTC' and year(utc_date) = 2021) as btc_2021_count
    from daily_retail_proxy
    where coverage_ratio >= 0.5
),

bitcoin as (
    select days.trade_count_365d_mean
    from newest
    left join daily_retail_proxy as days on newest.utc_date = days.utc_date and days.asset_group = 'BTC'
)

select
    newest.utc_date,
    alts.trade_count_365d_mean / years.alt_2021_count as value,
    bitcoin.trade_count_365d_mean / years.btc_2021_count as control_value,
    null as p_value,
    case
        when alts.trade_count_365d_mean is null or years.alt_2021_count is null then 'no data'
        when alts.trade_count_365d_mean < years.alt_2021_count and alts.mean_trade_365d_usd > years.alt_2021_usd
            then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when alts.trade_count_365d_mean is null or years.alt_2021_count is null
            then 'no covered year of trade counts, or fewer than 300 covered days of 2021'
        else concat_ws(
            '; ',
            format(
                '{:.1f} million trades a day of {:.0f} dollars in the last 365 days, {:.1f} million of {:.0f} in 2021',
                alts.trade_count_365d_mean / 1e6, alts.mean_trade_365d_usd, years.alt_2021_count / 1e6,
                years.alt_2021_usd
            ),
            format('{:.1f} million in 2024', years.alt_2024_count / 1e6),
            format(
                'last 30 days {:.2f} times their 365-day mean, {:.0f} dollars', months.to_mean_ratio,
                months.mean_trade_usd
            ),
            coalesce(
                format(
                    'below 1,000 dollars: {:.0f} % of trades read', 100 * months.below_1k_count / months.sized_count
                ),
                'sizes of single trades were not read'
            )
        )
    end as evidence
from newest
cross join alts
cross join months
cross join years
cross join bitcoin
