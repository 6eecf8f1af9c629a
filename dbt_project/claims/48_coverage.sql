-- sentence: The deficit is that of the whole market.
-- unit: ratio
-- rule: value is the share of the altcoins' expected symbol-days that were observed on the followed exchanges, over 365
--   days. Supported only where a band for the exchanges that are not covered exists and both of its ends have the
--   headline's sign; contradicted where an end has the other one; no data where there is no band (fewer than three
--   covered exchanges, or no reported volume of the others). With two exchanges or more, what is left without each is
--   told.
with newest as (
    select max(utc_date) as utc_date
    from daily_altcoin_flow
    where definition_id = 'rolling_365d.ex_btc_eth.all.all' and cumulative_net_taker_usd is not null
),

headline as (
    select
        newest.utc_date,
        flows.cumulative_net_taker_usd,
        flows.window_coverage_ratio,
        flows.band_low_usd,
        flows.band_high_usd,
        flows.symbol_count,
        flows.exchange_count
    from newest
    left join daily_altcoin_flow as flows
        on newest.utc_date = flows.utc_date and flows.definition_id = 'rolling_365d.ex_btc_eth.all.all'
),

by_exchange as (
    select
        flows.exchange,
        sum(flows.net_taker_usd) as net_taker_usd
    from headline
    inner join daily_symbol_flows as flows
        on headline.utc_date - 365 < flows.utc_date and headline.utc_date >= flows.utc_date
    where headline.exchange_count >= 2 and flows.flow_group = 'ALT'
    group by flows.exchange
),

left_out as (
    select
        min(headline.cumulative_net_taker_usd - by_exchange.net_taker_usd) as lowest_usd,
        max(headline.cumulative_net_taker_usd - by_exchange.net_taker_usd) as highest_usd
    from headline
    inner join by_exchange on true
),

days as (
    select
        coverage.exchange,
        sum(coverage.present_count) / nullif(sum(coverage.expected_count), 0) as coverage_ratio
    from headline
    inner join coverage_daily as coverage
        on
            headline.utc_date - 365 < coverage.utc_date
            and headline.utc_date >= coverage.utc_date
            and coverage.dataset = 'spot_flows'
    group by coverage.exchange
),

exchanges as (
    select string_agg(format('{} {:.1f} %', exchange, 100 * coverage_ratio), ', ' order by exchange) as figures
    from days
)

select
    headline.utc_date,
    headline.window_coverage_ratio as value,
    cast(null as double) as control_value,
    cast(null as double) as p_value,
    case
        when headline.band_low_usd is null or headline.band_high_usd is null then 'no data'
        when sign(headline.band_low_usd) = sign(headline.band_high_usd) then 'supported'
        else 'contradicted'
    end as verdict,
    case
        when headline.utc_date is null then 'no complete window of 365 days'
        else concat_ws(
            '; ',
            format(
                '{} symbols of {} followed exchanges, {:.1f} % of the altcoins'' expected symbol-days',
                headline.symbol_count, headline.exchange_count, 100 * headline.window_coverage_ratio
            ),
            'all symbols: ' || exchanges.figures,
            case
                when headline.band_low_usd is null
                    then
                        'no band for the others, whose reported volume is not known: this is the flow of the followed '
                        || 'exchanges'
                else format(
                    'band {:.2f} to {:.2f} billion dollars', cast(headline.band_low_usd as double) / 1e9,
                    cast(headline.band_high_usd as double) / 1e9
                )
            end,
            format(
                'without one exchange {:.2f} to {:.2f} billion dollars', cast(left_out.lowest_usd as double) / 1e9,
                cast(left_out.highest_usd as double) / 1e9
            )
        )
    end as evidence
from headline
cross join left_out
cross join exchanges
