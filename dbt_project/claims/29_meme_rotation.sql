-- sentence: What speculation is left goes round among memecoins.
-- unit: ratio
-- rule: value is the memes' mean share of the altcoins' volume over the newest 90 days. Supported where it is above its
--   mean of the 365 days before and the five most traded memes change faster than then; partly where one of the two
--   holds; contradicted where neither. Memes are those of a frozen list, so that no later winner is added; new listings
--   from it still count. Control: the share of layer-2 tokens, a category that nobody says is in fashion.
with newest as (
    select max(utc_date) as utc_date from daily_meme_rotation
),

compared as (
    select
        max(newest.utc_date) as utc_date,
        count(*) filter (where rotation.utc_date > newest.utc_date - 90) as day_count,
        count(*) filter (where rotation.utc_date <= newest.utc_date - 90) as earlier_day_count,
        avg(rotation.meme_volume_share_ratio) filter (where rotation.utc_date > newest.utc_date - 90) as share_ratio,
        avg(rotation.meme_volume_share_ratio) filter (where rotation.utc_date <= newest.utc_date - 90)
            as earlier_share_ratio,
        avg(rotation.meme_rank_turnover_ratio) filter (where rotation.utc_date > newest.utc_date - 90)
            as turnover_ratio,
        avg(rotation.meme_rank_turnover_ratio) filter (where rotation.utc_date <= newest.utc_date - 90)
            as earlier_turnover_ratio,
        avg(rotation.layer_2_volume_share_ratio) filter (where rotation.utc_date > newest.utc_date - 90)
            as layer_2_share_ratio,
        arg_max(rotation.meme_count, rotation.utc_date) as meme_count,
        arg_min(rotation.meme_count, rotation.utc_date) as earlier_meme_count
    from newest
    left join daily_meme_rotation as rotation on newest.utc_date - 455 < rotation.utc_date
),

judged as (
    select
        *,
        share_ratio > earlier_share_ratio as is_share_higher,
        turnover_ratio > earlier_turnover_ratio as is_turnover_higher,
        coalesce(
            day_count >= 86
            and earlier_day_count >= 347
            and share_ratio is not null
            and earlier_share_ratio is not null,
            false
        ) as is_known
    from compared
)

select
    utc_date,
    case when is_known then share_ratio end as value,
    case when is_known then layer_2_share_ratio end as control_value,
    cast(null as double) as p_value,
    case
        when not is_known then 'no data'
        when is_share_higher and is_turnover_higher then 'supported'
        when is_share_higher or is_turnover_higher then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when not is_known then 'no 455 covered days of memes of the frozen list'
        else concat_ws(
            '; ',
            format(
                'memes have {:.1f} % of the altcoins'' volume over 90 days, {:.1f} % in the year before '
                || '({} memes, {} at its begin)',
                100 * share_ratio, 100 * earlier_share_ratio, meme_count, earlier_meme_count
            ),
            coalesce(
                format(
                    '{:.1f} % of the five most traded change in a week, {:.1f} % before', 100 * turnover_ratio,
                    100 * earlier_turnover_ratio
                ),
                'no turnover of ranks, fewer than ten memes'
            )
        )
    end as evidence
from judged
