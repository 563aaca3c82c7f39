-- drops rows: monitoring_tombstones

drop table if exists {schema}.monitoring_tombstones;
