-- Rows come back where Amihud's halves are not the whole, or where a range-based figure is below zero.
select *
from {{ ref('daily_asset_illiquidity') }}
where
    abs(amihud_up_ratio + amihud_down_ratio - amihud_ratio) > 1e-12 * amihud_ratio
    or least(corwin_schultz_range_ratio, abdi_ranaldo_range_ratio, edge_range_ratio) < 0
