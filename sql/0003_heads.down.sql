-- drops rows: monitoring_heads

drop function if exists {schema}.monitoring_move_head(text, text, bigint, bigint, bigint, text, bigint, bigint, timestamptz);
drop table if exists {schema}.monitoring_heads;
