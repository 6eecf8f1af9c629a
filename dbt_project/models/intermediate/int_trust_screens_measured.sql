{%- set counts = ['round_count', 'twin_count', 'crossed_twin_count'] -%}
{%- for digit in range(1, 10) -%}
    {%- set _ = counts.append('digit_' ~ digit ~ '_count') -%}
{%- endfor -%}
{%- set screens = {
    'R13': ['benford_deviation_ratio', 0.015, 'sampled_count >= 1000'],
    'R14': ['round_ratio', 0.15, 'sampled_count >= 200'],
    'R16': ['crossed_ratio', 'permuted_ratio', 'twin_count >= 30'],
} -%}
with quarters_measured as (select * from {{ ref('int_symbol_quarters_measured') }}),

polarities as (
    select
        exchange,
        symbol,
        utc_date as quarter_date,
        day_count,
        return_flow_correlation as polarity_ratio
    from quarters_measured
    where day_count >= 60
),

polarity_runs as (
    select
        *,
        coalesce(
            lag(polarity_ratio) over quarters < -0.2
            and lag(quarter_date) over quarters = quarter_date - interval 3 month,
            false
        ) as was_negative
    from polarities
    window quarters as (partition by exchange, symbol order by quarter_date)
),

symbol_quarters as (
    select
        exchange,
        symbol,
        cast(date_trunc('quarter', utc_date) as date) as quarter_date,
        {% for name in counts -%}
            sum({{ name }}) as {{ name }},
        {% endfor -%}
        sum(sampled_count) as sampled_count
    from {{ ref('stg_spot_trade_screens') }}
    group by exchange, symbol, quarter_date
),

trade_quarters as (
    select * from symbol_quarters
    union all by name
    select
        exchange,
        quarter_date,
        {% for name in counts -%}
            sum({{ name }}) as {{ name }},
        {% endfor -%}
        sum(sampled_count) as sampled_count
    from symbol_quarters
    group by exchange, quarter_date
),

-- Of trades that the next one repeats, those with the other side. With permuted flags these are at most a half
-- (2p(1 − p)); three standard deviations above it is no chance. Rare pairs are no wash, whatever their sides.
shares as (
    select
        exchange,
        symbol,
        quarter_date,
        sampled_count,
        twin_count,
        (
            {%- for digit in range(1, 10) %}
                abs(digit_{{ digit }}_count / sampled_count - log10(1 + 1.0 / {{ digit }})) {{ '+' if not loop.last }}
            {%- endfor %}
        ) / 9 as benford_deviation_ratio,
        round_count / sampled_count as round_ratio,
        case when twin_count >= 0.02 * sampled_count then crossed_twin_count / nullif(twin_count, 0) else 0 end
            as crossed_ratio,
        0.5 + 1.5 / sqrt(greatest(twin_count, 1)) as permuted_ratio
    from trade_quarters
    where sampled_count > 0
),

screened as (
    select
        'R10' as check_id,
        exchange,
        symbol,
        quarter_date,
        day_count as sample_count,
        polarity_ratio as value,
        -0.2 as threshold,
        polarity_ratio < -0.2 and was_negative as is_flagged
    from polarity_runs
    union all
    select
        'R10' as check_id,
        exchange,
        null as symbol,
        quarter_date,
        count(*) as sample_count,
        median(polarity_ratio) as value,
        0 as threshold,
        median(polarity_ratio) <= 0 or avg(cast(polarity_ratio > 0 as integer)) < 0.5 as is_flagged
    from polarities
    group by exchange, quarter_date
    having count(*) >= 20
    {%- for check_id, (value, threshold, enough) in screens.items() %}
        union all
        select
            '{{ check_id }}' as check_id,
            exchange,
            symbol,
            quarter_date,
            cast(sampled_count as bigint) as sample_count,
            {{ value }} as value,
            {{ threshold }} as threshold,
            {{ value }} > {{ threshold }} as is_flagged
        from shares
        where {{ enough if check_id != 'R16' else '(' ~ enough ~ ' or sampled_count >= 1000)' }}
    {%- endfor %}
),

symbol_nets as (
    select
        exchange,
        symbol,
        utc_date as quarter_date,
        altcoin_net_taker_usd as net_taker_usd
    from quarters_measured
),

nets as (
    select * from symbol_nets
    union all by name
    select
        exchange,
        quarter_date,
        sum(net_taker_usd) as net_taker_usd
    from symbol_nets
    group by exchange, quarter_date
)

select
    screened.check_id,
    screened.exchange || coalesce(' ' || screened.symbol, '') as scope,
    screened.exchange,
    screened.symbol,
    screened.quarter_date,
    screened.sample_count,
    screened.value,
    cast(screened.threshold as double) as threshold,
    screened.is_flagged,
    nets.net_taker_usd
from screened
left join nets
    on
        screened.exchange = nets.exchange
        and screened.symbol is not distinct from nets.symbol
        and screened.quarter_date = nets.quarter_date
