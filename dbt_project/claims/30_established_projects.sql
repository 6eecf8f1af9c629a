-- sentence: Established projects languish.
-- unit: ratio
-- rule: value is the imbalance over 365 days of altcoins first seen at least three years before the newest valid day.
--   Supported where it is below that of younger ones, also with the cut at two and at four years, and their median
--   drawdown from the highest close is deeper; contradicted where neither holds at three years; else partly. An older
--   coin had more time for a high peak, so that depth alone proves little. Control: Bitcoin's imbalance.
with newest as (
    select max(utc_date) as utc_date
    from daily_altcoin_flow
    where definition_id = 'rolling_365d.ex_btc_eth.all.all' and cumulative_net_taker_usd is not null
),

coins as (
    select
        lives.base_asset,
        drawdowns.drawdown_ratio,
        newest.utc_date - lives.first_seen_date as age_days
    from newest
    inner join asset_survival as lives
        on newest.utc_date >= lives.first_seen_date and newest.utc_date <= lives.last_traded_date
    left join asset_drawdowns as drawdowns
        on
            lives.base_asset = drawdowns.base_asset
            and newest.utc_date >= drawdowns.first_date
            and newest.utc_date <= drawdowns.last_date
            and drawdowns.definition_id = 'running_peak'
),

flows as (
    select
        flows.base_asset,
        cast(sum(flows.net_taker_usd) as double) as net_taker_usd,
        cast(sum(flows.volume_usd) as double) as volume_usd
    from newest
    inner join daily_asset_flows as flows
        on newest.utc_date - 365 < flows.utc_date and newest.utc_date >= flows.utc_date
    where flows.flow_group = 'ALT'
    group by flows.base_asset
),

compared as (
    select
        sum(flows.net_taker_usd order by flows.base_asset) filter (where coins.age_days >= 1095)
        / nullif(sum(flows.volume_usd order by flows.base_asset) filter (where coins.age_days >= 1095), 0)
            as old_imbalance_ratio,
        sum(flows.net_taker_usd order by flows.base_asset) filter (where coins.age_days < 1095)
        / nullif(sum(flows.volume_usd order by flows.base_asset) filter (where coins.age_days < 1095), 0)
            as young_imbalance_ratio,
        sum(flows.net_taker_usd order by flows.base_asset) filter (where coins.age_days >= 730)
        / nullif(sum(flows.volume_usd order by flows.base_asset) filter (where coins.age_days >= 730), 0)
        - sum(flows.net_taker_usd order by flows.base_asset) filter (where coins.age_days < 730)
        / nullif(sum(flows.volume_usd order by flows.base_asset) filter (where coins.age_days < 730), 0)
            as gap_2_years_ratio,
        sum(flows.net_taker_usd order by flows.base_asset) filter (where coins.age_days >= 1460)
        / nullif(sum(flows.volume_usd order by flows.base_asset) filter (where coins.age_days >= 1460), 0)
        - sum(flows.net_taker_usd order by flows.base_asset) filter (where coins.age_days < 1460)
        / nullif(sum(flows.volume_usd order by flows.base_asset) filter (where coins.age_days < 1460), 0)
            as gap_4_years_ratio,
        median(coins.drawdown_ratio) filter (where coins.age_days >= 1095) as old_drawdown_ratio,
        median(coins.drawdown_ratio) filter (where coins.age_days < 1095) as young_drawdown_ratio,
        count(*) filter (where coins.age_days >= 1095) as old_count,
        count(*) filter (where coins.age_days < 1095) as young_count
    from coins
    inner join flows on coins.base_asset = flows.base_asset
),

judged as (
    select
        *,
        old_imbalance_ratio < young_imbalance_ratio as is_sold_more,
        old_imbalance_ratio < young_imbalance_ratio and gap_2_years_ratio < 0 and gap_4_years_ratio < 0
            as is_sold_more_at_any_cut,
        old_drawdown_ratio < young_drawdown_ratio as is_deeper,
        old_count >= 20 and young_count >= 20 as is_known
    from compared
)

select
    newest.utc_date,
    judged.old_imbalance_ratio as value,
    control.rolling_365d_imbalance_ratio as control_value,
    cast(null as double) as p_value,
    case
        when not judged.is_known then 'no data'
        when judged.is_sold_more_at_any_cut and judged.is_deeper then 'supported'
        when judged.is_sold_more or judged.is_deeper then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when not judged.is_known
            then format(
                'no valid window with twenty altcoins on both sides of three years: {} older, {} younger',
                judged.old_count, judged.young_count
            )
        else concat_ws(
            '; ',
            format(
                '{} altcoins of three years or more have {:.2f} % imbalance and a median drawdown of {:.1f} % '
                || '(at their last close), {} younger ones {:.2f} % and {:.1f} %',
                judged.old_count, 100 * judged.old_imbalance_ratio, 100 * judged.old_drawdown_ratio,
                judged.young_count, 100 * judged.young_imbalance_ratio, 100 * judged.young_drawdown_ratio
            ),
            format('older less younger, cut at two years {:+.2f} points', 100 * judged.gap_2_years_ratio),
            format('at four {:+.2f}', 100 * judged.gap_4_years_ratio)
        )
    end as evidence
from newest
cross join judged
left join daily_control_flow as control
    on newest.utc_date = control.utc_date and control.flow_group = 'BTC' and control.quotes = 'all'
