-- drops rows: monitoring_tombstones

drop table if exists {schema}.monitoring_tombstones;
drop function if exists {schema}.monitoring_retry(uuid, text, timestamptz, jsonb, text, text, bigint, timestamptz);
