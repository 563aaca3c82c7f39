-- Realtime: the tables in the publication that postgres_changes reads, and who may join our private channels.
--
-- On a hosted project realtime.messages belongs to another role: `create policy` and `drop policy` are allowed there, `alter table`,
-- `comment on policy` and `grant` are not, so none of them is used.

do $$
declare
  wanted text;
begin
  foreach wanted in array array['monitoring_events', 'monitoring_tombstones', 'monitoring_heads'] loop
    -- A publication FOR ALL TABLES, or one that somebody extended by hand, has them already.
    if not exists (select from pg_catalog.pg_publication_tables
                   where pubname = 'supabase_realtime' and schemaname = {schema_text} and tablename = wanted) then
      execute format('alter publication supabase_realtime add table {schema}.%I', wanted);
    end if;
  end loop;
end
$$;

-- authenticated may receive broadcast on the events' topic and on the canary's. Nobody is given INSERT: only service_role, which
-- bypasses row level security, sends.
drop policy if exists {receive_policy} on realtime.messages;
create policy {receive_policy} on realtime.messages
  for select to authenticated
  using (
    realtime.messages.extension = 'broadcast'
    and realtime.topic() in ({topic_text}, {canary_topic_text})
  );
