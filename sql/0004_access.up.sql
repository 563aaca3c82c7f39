-- Who may do what: service_role writes, authenticated reads every row, anon and everybody else have nothing.
-- A role reads all rows or none: a policy that hid some would look like a hole in the sequence.

grant usage on schema {schema} to authenticated, service_role;

grant select on table {schema}.monitoring_events, {schema}.monitoring_tombstones, {schema}.monitoring_heads
  to authenticated;
grant select, insert, update, delete
  on table {schema}.monitoring_events, {schema}.monitoring_tombstones, {schema}.monitoring_heads
  to service_role;

grant execute
  on function {schema}.monitoring_move_head(text, text, bigint, bigint, bigint, text, bigint, bigint, timestamptz)
  to service_role;

-- service_role bypasses row level security on Supabase. Its policies hold where that attribute was taken away.
drop policy if exists migctl_read on {schema}.monitoring_events;
drop policy if exists migctl_write on {schema}.monitoring_events;
create policy migctl_read on {schema}.monitoring_events for select to authenticated using (true);
create policy migctl_write on {schema}.monitoring_events for all to service_role using (true) with check (true);

create policy migctl_read on {schema}.monitoring_tombstones for select to authenticated using (true);
create policy migctl_write on {schema}.monitoring_tombstones for all to service_role using (true) with check (true);

create policy migctl_read on {schema}.monitoring_heads for select to authenticated using (true);
create policy migctl_write on {schema}.monitoring_heads for all to service_role using (true) with check (true);
