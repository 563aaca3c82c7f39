-- drops rows: monitoring_flags, monitoring_brakes, monitoring_processes, monitoring_rollouts, monitoring_audit, monitoring_evidence

drop function if exists {schema}.monitoring_evidence_write(jsonb);
drop function if exists {schema}.monitoring_rollout_open(jsonb, text, bigint, bigint, jsonb, text[], text[]);
drop function if exists {schema}.monitoring_rollout_write(text, bigint, jsonb, bigint, text, text, text);
drop function if exists {schema}.monitoring_lease(text, text, double precision);
drop function if exists {schema}.monitoring_process_forget(text, text, text);
drop function if exists {schema}.monitoring_process(text, text, text);
drop function if exists {schema}.monitoring_brake(text, jsonb, jsonb, bigint, bigint);
drop function if exists {schema}.monitoring_flags_write(text, bigint, bigint, jsonb, text, text[], text[], text, text);
drop function if exists {schema}.monitoring_flags_read(bigint);
drop table if exists {schema}.monitoring_evidence;
drop table if exists {schema}.monitoring_audit;
drop table if exists {schema}.monitoring_rollouts;
drop table if exists {schema}.monitoring_processes;
drop table if exists {schema}.monitoring_brakes;
drop table if exists {schema}.monitoring_flags;
