-- sentence: There is no bid: small sells of altcoins move prices more than small buys do.
-- unit: ratio
-- rule: two families of measures. Amihud: the median lower half-measure (30 days) is above the upper one. Kyle: the
--   median slope on net sells (180 days) is above that on net buys. Supported where both say so, partly where one does,
--   contradicted where none does. Value is lower over upper Amihud half, control the same of Bitcoin. Return and flow
--   of a day are simultaneous, so neither is a cause; depth of books comes forward only.
with newest as (
    select max(measures.utc_date) as utc_date
    from daily_illiquidity_breadth as measures
    inner join daily_market_dispersion as market on measures.utc_date = market.utc_date and market.is_covered
    where measures.amihud_count > 0 and measures.lambda_count > 0
),

measured as (
    select
        newest.utc_date,
        measures.median_amihud_down_ratio / nullif(measures.median_amihud_up_ratio, 0) as amihud_ratio,
        measures.median_lambda_minus_ratio / nullif(measures.median_lambda_plus_ratio, 0) as lambda_ratio,
        measures.median_lambda_minus_ratio > measures.median_lambda_plus_ratio as is_lambda_agreeing,
        measures.median_amihud_down_ratio > measures.median_amihud_up_ratio as is_amihud_agreeing,
        measures.amihud_down_share_ratio,
        measures.amihud_count,
        measures.lambda_minus_share_ratio,
        measures.lambda_count,
        bitcoin.amihud_down_ratio / nullif(bitcoin.amihud_up_ratio, 0) as btc_amihud_ratio
    from newest
    left join daily_illiquidity_breadth as measures on newest.utc_date = measures.utc_date
    left join daily_asset_illiquidity as bitcoin
        on newest.utc_date = bitcoin.utc_date and bitcoin.base_asset = 'BTC'
),

simultaneous as (
    select
        any_value(value) filter (where statistic = 'return_r_squared_same_day') as same_day_ratio,
        any_value(value) filter (where statistic = 'flow_return_correlation_lead_1d') as next_day_ratio
    from market_statistics
    where scope = 'ALT'
)

select
    measured.utc_date,
    measured.amihud_ratio as value,
    measured.btc_amihud_ratio as control_value,
    null as p_value,
    case
        when measured.utc_date is null then 'no data'
        when measured.is_amihud_agreeing and measured.is_lambda_agreeing then 'supported'
        when measured.is_amihud_agreeing or measured.is_lambda_agreeing then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when measured.utc_date is null then 'no covered day has both measures'
        else concat_ws(
            '; ',
            format(
                'Amihud: a fall per dollar is {:.2f} times a rise, lower half above upper for {:.0f} % of {} altcoins, '
                || 'Bitcoin {:.2f} times',
                measured.amihud_ratio, 100 * measured.amihud_down_share_ratio, measured.amihud_count,
                measured.btc_amihud_ratio
            ),
            format(
                'Kyle: a dollar sold moves {:.2f} times what one bought does, more for {:.0f} % of {}',
                measured.lambda_ratio, 100 * measured.lambda_minus_share_ratio, measured.lambda_count
            ),
            format(
                'R² of return on flow {:.2f} on the same day, correlation {:.2f} with the next',
                simultaneous.same_day_ratio, simultaneous.next_day_ratio
            )
        )
    end as evidence
from measured
cross join simultaneous
