{#- Table → the columns that name a row, and its values: those of orchestration/records.py that are dated and no look at
    what is now (a test compares). The text of a price is its number again. -#}
{%- set tables = {
    'spot_flows': [
        'exchange symbol utc_date',
        'open_price high_price low_price close_price volume_base volume_quote taker_buy_base '
        ~ 'taker_buy_quote trade_count source_kind',
    ],
    'spot_trade_sizes': [
        'exchange symbol utc_date',
        'below_1k_count below_1k_volume_quote below_1k_taker_buy_quote from_1k_count '
        ~ 'from_1k_volume_quote from_1k_taker_buy_quote from_10k_count from_10k_volume_quote '
        ~ 'from_10k_taker_buy_quote from_100k_count from_100k_volume_quote from_100k_taker_buy_quote',
    ],
    'spot_trade_screens': [
        'exchange symbol utc_date',
        'sampled_count digit_1_count digit_2_count digit_3_count digit_4_count digit_5_count digit_6_count '
        ~ 'digit_7_count digit_8_count digit_9_count round_count twin_count crossed_twin_count',
    ],
    'archive_flows': [
        'exchange symbol utc_date file_grain',
        'open_price high_price low_price close_price volume_base volume_quote taker_buy_base '
        ~ 'taker_buy_quote trade_count source_kind',
    ],
    'taker_estimates': [
        'exchange asset utc_date',
        'taker_buy_base taker_sell_base',
    ],
    'perpetual_flows': [
        'exchange symbol utc_date',
        'open_price high_price low_price close_price volume_base volume_quote taker_buy_base '
        ~ 'taker_buy_quote trade_count source_kind',
    ],
    'funding_rates': [
        'exchange symbol utc_date funded_at',
        'funding_ratio mark_price',
    ],
    'open_interest': [
        'exchange symbol utc_date',
        'open_interest_base open_interest_quote',
    ],
    'perpetual_metrics': [
        'exchange symbol utc_date',
        'open_interest_base open_interest_quote last_row_at mean_top_account_long_short_ratio '
        ~ 'mean_top_position_long_short_ratio mean_account_long_short_ratio mean_taker_buy_sell_ratio '
        ~ 'row_count',
    ],
    'perpetual_depth': [
        'exchange symbol utc_date',
        'bid_within_1_percent_quote ask_within_1_percent_quote bid_within_2_percent_quote '
        ~ 'ask_within_2_percent_quote bid_within_5_percent_quote ask_within_5_percent_quote snapshot_count',
    ],
    'stablecoin_totals': [
        'peg_type utc_date',
        'circulating_peg circulating_usd',
    ],
    'stablecoin_supplies': [
        'stablecoin_id utc_date',
        'symbol peg_type circulating_peg',
    ],
    'stablecoin_chain_supplies': [
        'stablecoin_id chain utc_date',
        'symbol peg_type circulating_peg',
    ],
    'asset_caps': [
        'upstream asset utc_date',
        'cap_usd price_usd',
    ],
    'macro_observations': [
        'series_id utc_date',
        'upstream value',
    ],
    'chain_tvl': [
        'chain utc_date',
        'tvl_usd',
    ],
    'dex_volumes': [
        'chain utc_date',
        'volume_usd',
    ],
    'imported_caps': [
        'asset utc_date',
        'cap_usd coin_count',
    ],
    'imported_etf_flows': [
        'utc_date',
        'net_flow_usd',
    ],
} -%}
{#- Column → how often it counts in the net flow, which is twice what takers bought less the volume. -#}
{%- set times = {'volume_quote': -1, 'taker_buy_quote': 2} -%}
with
-- Only what replaced something, else all that is stored would be looked through.
{% for table in tables -%}
    {{ table }}_since as (
        select stored.* exclude (loaded_at)
        from {{ source('raw', table) }} as stored
        semi join {{ history_of(source('raw', table)) }} as replaced on stored.load_id = replaced.replaced_by_load_id
        union all by name
        select replaced.* exclude (loaded_at, replaced_by_load_id, replaced_at)
        from {{ history_of(source('raw', table)) }} as replaced
    ),

{% endfor -%}
cells as (
    {% for table, columns in tables.items() -%}
        {%- set grain, values = columns[0].split(), columns[1].split() -%}
        select
            '{{ table }}' as table_name,
            concat_ws(' ', {{ 'old.' ~ grain | join(', old.') }}) as row_key,
            {{ 'old.exchange' if 'exchange' in grain else 'cast(null as varchar)' }} as exchange,
            {{ 'old.symbol' if 'symbol' in grain else 'cast(null as varchar)' }} as symbol,
            old.utc_date,
            old.replaced_at as changed_at,
            new.body_sha256,
            unnest([
                {% for column in values -%}
                    {%- set is_flow = table == 'spot_flows' and column in times %}
                    {
                        'column_name': '{{ column }}',
                        'old_text': cast(old.{{ column }} as varchar),
                        'new_text': cast(new.{{ column }} as varchar),
                        'net_taker_quote': cast(
                            {% if is_flow -%}
                                {{ times[column] }} * (coalesce(new.{{ column }}, 0) - coalesce(old.{{ column }}, 0))
                            {%- else -%}
                                {{ '0' if table == 'spot_flows' else 'null' }}
                            {%- endif %}
                            as decimal(38, 12)
                        )
                    }{{ ',' if not loop.last }}
                {% endfor -%}
            ], recursive := true)
        from {{ history_of(source('raw', table)) }} as old
        left join {{ table }}_since as new
            on
                old.replaced_by_load_id = new.load_id
                {% for column in grain -%}
                    and old.{{ column }} = new.{{ column }}
                {% endfor %}
        {{ 'union all' if not loop.last }}
    {% endfor -%}
),

changes as (
    select
        *,
        {{ without_last_zeros('old_text') }} as old_value,
        {{ without_last_zeros('new_text') }} as new_value
    from cells
    where old_text is distinct from new_text
)

select
    changes.table_name,
    changes.row_key,
    changes.column_name,
    changes.old_value,
    changes.new_value,
    changes.changed_at,
    changes.body_sha256,
    case
        when changes.net_taker_quote = 0 then 0
        when prices.conversion_method = 'usdt' then round(changes.net_taker_quote, 8)
        else cast(cast(changes.net_taker_quote as double) * prices.quote_price_usd as decimal(38, 8))
    end as impact_usd,
    changes.utc_date,
    classes.flow_group
from changes
left join {{ ref('stg_spot_symbols') }} as symbols
    on
        changes.table_name = 'spot_flows'
        and changes.exchange = symbols.exchange
        and changes.symbol = symbols.symbol
left join {{ ref('int_assets_classified') }} as classes
    on
        symbols.base_asset = classes.asset
        and changes.utc_date >= classes.valid_from
        and changes.utc_date < classes.valid_to
left join {{ ref('int_quote_prices_derived') }} as prices
    on
        changes.exchange = prices.exchange
        and symbols.quote_asset = prices.quote_asset
        and changes.utc_date = prices.utc_date
