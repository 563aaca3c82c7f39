-- drops rows: monitoring_events
-- The schema itself stays: it may hold what is not ours.

drop table if exists {schema}.monitoring_events;
