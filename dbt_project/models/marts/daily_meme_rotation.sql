{{ config(materialized="incremental", meta={"reach_days": 13}) }}
-- depends_on: {{ ref('int_days_changed') }}
with flows as (
    select * from {{ ref('daily_asset_flows') }}
    where flow_group = 'ALT' {% if is_incremental() %}and utc_date >= {{ first_day_changed(13) }}{% endif %}
),

categories as (select * from {{ ref('asset_categories') }}),

-- Where less than half of the expected altcoin pairs were observed, a share says what was recorded.
covered_days as (
    select utc_date
    from {{ ref('int_universe_days_summed') }}
    where universe = 'ex_btc_eth' and quotes = 'all' and trust = 'all' and is_covered
),

drawn as (select * from {{ ref('int_recycling_signs_drawn') }}),

coins as (
    select
        flows.base_asset,
        flows.utc_date,
        flows.volume_usd,
        flows.net_taker_usd,
        memes.asset is not null as is_meme,
        layers.asset is not null as is_layer_2
    from flows
    semi join covered_days on flows.utc_date = covered_days.utc_date
    left join categories as memes
        on
            memes.category = 'meme'
            and flows.base_asset = memes.asset
            and flows.utc_date >= coalesce(memes.valid_from, date '1970-01-01')
            and flows.utc_date < coalesce(memes.valid_to, date '9999-12-31')
    left join categories as layers
        on
            layers.category = 'layer_2'
            and flows.base_asset = layers.asset
            and flows.utc_date >= coalesce(layers.valid_from, date '1970-01-01')
            and flows.utc_date < coalesce(layers.valid_to, date '9999-12-31')
),

-- Decimals have no room for squares of dollars; doubles are added in a stated order.
days as (
    select
        utc_date,
        {% for category in ['meme', 'layer_2'] -%}
            count(*) filter (where is_{{ category }}) as {{ category }}_count,
            sum(volume_usd) filter (where is_{{ category }}) as {{ category }}_volume_usd,
            sum(net_taker_usd) filter (where is_{{ category }}) as {{ category }}_net_taker_usd,
            sum(abs(net_taker_usd)) filter (where is_{{ category }}) as {{ category }}_gross_net_usd,
        {% endfor -%}
        count(*) as asset_count,
        sum(volume_usd) as volume_usd,
        sum(net_taker_usd) as net_taker_usd,
        sum(abs(net_taker_usd)) as gross_net_usd,
        sum(
            cast(net_taker_usd as double) * cast(net_taker_usd as double) order by abs(net_taker_usd)
        ) as squared_net
    from coins
    group by utc_date
),

weekly as (
    select
        base_asset,
        utc_date,
        sum(volume_usd) over (
            partition by base_asset order by utc_date range between interval 6 days preceding and current row
        ) as volume_7d_usd
    from coins
    where is_meme
),

-- The week before is that which ended seven days ago: the two share no day.
ranked as (
    select
        base_asset,
        utc_date,
        row_number() over (partition by utc_date order by volume_7d_usd desc, base_asset asc) as size_rank,
        count(*) over (partition by utc_date) as meme_count
    from weekly
),

turned as (
    select
        today.utc_date,
        (5 - count(earlier.base_asset) filter (where earlier.size_rank <= 5)) / 5 as rank_turnover_ratio
    from ranked as today
    left join ranked as earlier
        on
            today.base_asset = earlier.base_asset
            and today.utc_date - 7 = earlier.utc_date
    where today.size_rank <= 5 and today.meme_count >= 10
    group by today.utc_date
),

-- With fewer than ten memes half of them are among the five by definition.
comparable as (
    select distinct utc_date + 7 as utc_date
    from ranked
    where meme_count >= 10
)

select
    days.utc_date,
    days.asset_count,
    {% for category in ['meme', 'layer_2'] -%}
        days.{{ category }}_count,
        days.{{ category }}_volume_usd,
        days.{{ category }}_net_taker_usd,
        cast(days.{{ category }}_volume_usd as double) / nullif(cast(days.volume_usd as double), 0)
            as {{ category }}_volume_share_ratio,
        cast(days.{{ category }}_gross_net_usd as double) / nullif(cast(days.gross_net_usd as double), 0)
            as {{ category }}_flow_share_ratio,
        cast(days.{{ category }}_net_taker_usd as double) / nullif(cast(days.{{ category }}_volume_usd as double), 0)
            as {{ category }}_imbalance_ratio,
    {% endfor -%}
    case when comparable.utc_date is not null then turned.rank_turnover_ratio end as meme_rank_turnover_ratio,
    1 - cast(abs(days.net_taker_usd) as double) / nullif(cast(days.gross_net_usd as double), 0)
        as recycling_index_ratio,
    1 - sqrt(2 / pi() * days.squared_net) / nullif(cast(days.gross_net_usd as double), 0) as random_sign_mean_ratio,
    drawn.simulated_p05_ratio as random_sign_p05_ratio,
    drawn.simulated_p95_ratio as random_sign_p95_ratio,
    1 - cast(abs(days.net_taker_usd) as double) / nullif(cast(days.gross_net_usd as double), 0)
    < drawn.simulated_p05_ratio as is_one_sided
from days
left join turned on days.utc_date = turned.utc_date
left join comparable on days.utc_date = comparable.utc_date
left join drawn on days.utc_date = drawn.utc_date
{% if is_incremental() %}where days.utc_date in {{ days_changed(13) }}{% endif %}
