-- sentence: Since January 2024 the US spot ETFs have brought money into Bitcoin.
-- unit: usd
-- rule: value is the sum of creations less redemptions since 2024-01-11 in the file given to `altflow import
--   etf-flows`. Supported where it is above 0, and that of the last 30 days too; partly where only the first is; else
--   contradicted. No data without an import. Shares outstanding times their value would refute it; the control is
--   Bitcoin's net taker flow on spot over the same days.
with funds as (
    select
        max(utc_date) as utc_date,
        min(utc_date) as first_date,
        count(net_flow_usd) as day_count,
        sum(net_flow_usd) as net_usd,
        arg_max(rolling_30d_net_flow_usd, utc_date) as newest_30d_usd,
        sum(cast(abs(net_flow_usd) as double)) / nullif(sum(cast(btc_spot_volume_usd as double)), 0)
            as flow_volume_ratio
    from etf_flows_daily
    where utc_date >= '2024-01-11'
),

bitcoin as (
    select sum(flows.net_taker_usd) as net_usd
    from daily_control_flow as flows
    cross join funds
    where
        flows.flow_group = 'BTC' and flows.quotes = 'all' and flows.utc_date >= funds.first_date
        and flows.utc_date <= funds.utc_date
)

select
    funds.utc_date,
    funds.net_usd as value,
    bitcoin.net_usd as control_value,
    null as p_value,
    case
        when funds.net_usd is null then 'no data'
        when funds.net_usd > 0 and funds.newest_30d_usd > 0 then 'supported'
        when funds.net_usd > 0 then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when funds.net_usd is null
            then 'no file of ETF flows was imported, and no upstream tells them without a key'
        else concat_ws(
            '; ',
            format(
                '{:.2f} billion dollars over {} trading days since {}, {:+.2f} in the last 30 days',
                cast(funds.net_usd as double) / 1e9, funds.day_count, funds.first_date,
                cast(funds.newest_30d_usd as double) / 1e9
            ),
            format('a day''s flow is {:.1f} % of spot volume here', 100 * funds.flow_volume_ratio),
            format('takers on spot: {:+.2f} billion', cast(bitcoin.net_usd as double) / 1e9)
        )
    end as evidence
from funds
cross join bitcoin
