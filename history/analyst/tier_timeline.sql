-- When did the tier of an instrument change, and why?
SELECT tick_ns AS at, tier_before, tier, round(score, 1) AS score, ref_price / 1e9 AS price, latched,
       arrayStringConcat(arrayMap((name, z, share) -> concat(name, if(isNaN(z), '', concat(' ', if(z >= 0, '+', ''), toString(round(z, 1)), ' sd')), ' (',
                                                             toString(round(100 * share)), ' %)'),
                                  `causes.name`, `causes.z`, `causes.share`), ', ') AS causes
FROM tier_changes_once
WHERE instrument_id = {instrument:UInt32} AND tick_ns >= {since:DateTime64(9, 'UTC')} AND tick_ns < {until:DateTime64(9, 'UTC')}
ORDER BY tick_ns, epoch
