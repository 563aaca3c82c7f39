drop policy if exists {receive_policy} on realtime.messages;

do $$
declare
  wanted text;
begin
  foreach wanted in array array['monitoring_events', 'monitoring_tombstones', 'monitoring_heads'] loop
    -- pg_publication_rel, not pg_publication_tables: from a publication FOR ALL TABLES nothing can be taken out.
    if exists (select from pg_catalog.pg_publication_rel r
               join pg_catalog.pg_publication p on p.oid = r.prpubid
               where p.pubname = 'supabase_realtime'
                 and r.prrelid = to_regclass(format('{schema}.%I', wanted))) then
      execute format('alter publication supabase_realtime drop table {schema}.%I', wanted);
    end if;
  end loop;
end
$$;
