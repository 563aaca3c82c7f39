-- Row level security stays on: without policies the tables are closed, which is the safe side.

drop policy if exists migctl_write on {schema}.monitoring_heads;
drop policy if exists migctl_read on {schema}.monitoring_heads;
drop policy if exists migctl_write on {schema}.monitoring_tombstones;
drop policy if exists migctl_read on {schema}.monitoring_tombstones;
drop policy if exists migctl_write on {schema}.monitoring_events;
drop policy if exists migctl_read on {schema}.monitoring_events;

revoke all
  on function {schema}.monitoring_move_head(text, text, bigint, bigint, bigint, text, bigint, bigint, timestamptz)
  from service_role;
revoke all on table {schema}.monitoring_events, {schema}.monitoring_tombstones, {schema}.monitoring_heads
  from authenticated, service_role;
-- USAGE on the schema stays: other tables may need it.
