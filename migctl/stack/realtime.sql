-- What Realtime has in a project's database. Run by supabase_admin after bootstrap.sql; idempotent.

create schema if not exists realtime;
grant usage on schema realtime to anon, authenticated, service_role, supabase_realtime_admin;
grant usage on schema realtime to postgres with grant option;

-- Private channels are allowed or denied by the policies on this table, and what is inserted into it is broadcast.
create table if not exists realtime.messages (
  topic text not null,
  extension text not null,
  payload jsonb,
  event text,
  private boolean default false,
  updated_at timestamp without time zone not null default now(),
  inserted_at timestamp without time zone not null default now(),
  id uuid not null default gen_random_uuid(),
  primary key (id, inserted_at)
) partition by range (inserted_at);
-- Of stacks that are older: the one partition that they had, always empty.
drop table if exists realtime.messages_default;
alter table realtime.messages add column if not exists binary_payload bytea;
alter table realtime.messages drop constraint if exists messages_payload_exclusive;
alter table realtime.messages add constraint messages_payload_exclusive
  check (payload is null or binary_payload is null) not valid;
create index if not exists messages_inserted_at_topic_index on realtime.messages (inserted_at desc, topic)
  where extension = 'broadcast' and private is true;
alter table realtime.messages enable row level security;
alter table realtime.messages owner to supabase_realtime_admin;
grant all on realtime.messages to postgres;
grant select, insert, update on realtime.messages to anon, authenticated, service_role;

create or replace function realtime.topic() returns text language sql stable as $$
  select nullif(current_setting('realtime.topic', true), '')::text
$$;

-- Under the rights of who calls it, so policies apply; and every error is no more than a warning, as on the platform.
create or replace function realtime.send(payload jsonb, event text, topic text, private boolean default true)
returns void language plpgsql as $$
declare
  generated_id uuid;
  final_payload jsonb;
begin
  begin
    generated_id := gen_random_uuid();
    if payload ? 'id' then
      final_payload := payload;
    else
      final_payload := jsonb_set(payload, '{id}', to_jsonb(generated_id));
    end if;
    execute format('set local realtime.topic to %L', topic);
    insert into realtime.messages (id, payload, event, topic, private, extension)
    values (generated_id, final_payload, event, topic, private, 'broadcast');
  exception
    when others then
      raise warning 'WarnSendingBroadcastMessage: %', sqlerrm;
  end;
end
$$;

create or replace function realtime.send_binary(payload bytea, event text, topic text, private boolean default true)
returns void language plpgsql as $$
declare
  generated_id uuid;
begin
  begin
    generated_id := gen_random_uuid();
    execute format('set local realtime.topic to %L', topic);
    insert into realtime.messages (id, binary_payload, event, topic, private, extension)
    values (generated_id, payload, event, topic, private, 'broadcast');
  exception
    when others then
      raise warning 'WarnSendingBroadcastMessage: %', sqlerrm;
  end;
end
$$;

create or replace function realtime.broadcast_changes(
  topic_name text, event_name text, operation text, table_name text, table_schema text, new record, old record,
  level text default 'ROW'
) returns void language plpgsql as $$
declare
  row_data jsonb := '{}'::jsonb;
begin
  if level = 'STATEMENT' then
    raise exception 'function can only be triggered for each row, not for each statement';
  end if;
  if operation in ('INSERT', 'UPDATE', 'DELETE') then
    row_data := jsonb_build_object(
      'old_record', old, 'record', new, 'operation', operation, 'table', table_name, 'schema', table_schema
    );
    perform realtime.send(row_data, event_name, topic_name);
  else
    raise exception 'Unexpected operation type: %', operation;
  end if;
exception
  when others then
    raise exception 'Failed to process the row: %', sqlerrm;
end
$$;

alter function realtime.topic() owner to supabase_realtime_admin;
alter function realtime.send(jsonb, text, text, boolean) owner to supabase_realtime_admin;
alter function realtime.send_binary(bytea, text, text, boolean) owner to supabase_realtime_admin;
alter function realtime.broadcast_changes(text, text, text, text, text, record, record, text)
  owner to supabase_realtime_admin;

do $$
begin
  if not exists (select from pg_publication where pubname = 'supabase_realtime') then
    create publication supabase_realtime;
    alter publication supabase_realtime owner to postgres;
  end if;
  if not exists (select from pg_publication where pubname = 'supabase_realtime_messages_publication') then
    create publication supabase_realtime_messages_publication for table realtime.messages;
  end if;
end
$$;

-- standin: what a hosted project does by means that are not among the binaries. Nothing of it is Supabase's.
create schema if not exists standin;
grant usage on schema standin to postgres;

-- A partition a day, made ahead; those from before the last 72 hours are dropped, as Realtime's janitor does it.
create or replace function standin.keep_partitions() returns void
language plpgsql security definer set search_path = '' as $$
declare
  today constant date := (now() at time zone 'utc')::date;
  day date;
  partition text;
begin
  for day in select today + n from generate_series(-1, 3) n loop
    partition := 'messages_' || to_char(day, 'YYYY_MM_DD');
    if to_regclass('realtime.' || partition) is null then
      execute format(
        'create table realtime.%I partition of realtime.messages for values from (%L) to (%L)', partition, day, day + 1
      );
      execute format('alter table realtime.%I owner to supabase_realtime_admin', partition);
    end if;
  end loop;
  for partition in
    select c.relname from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'realtime.messages'::regclass
       and to_date(substr(c.relname, 10), 'YYYY_MM_DD') < (now() at time zone 'utc' - interval '72 hours')::date
  loop
    execute format('drop table realtime.%I', partition);
  end loop;
end
$$;
revoke execute on function standin.keep_partitions() from public;
grant execute on function standin.keep_partitions() to postgres;
select standin.keep_partitions();

-- On the platform an extension lets `postgres` make policies on a table that is not its own. Membership gives it that here,
-- and this takes the rest of what an owner may do away again. (Grants remain: they don't name their table to a trigger.)
grant supabase_realtime_admin to postgres with inherit true, set false;

create or replace function standin.guard() returns event_trigger language plpgsql set search_path = pg_catalog as $$
declare
  touched text;
  kind text;
begin
  if (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then
    return;
  end if;
  if tg_event = 'sql_drop' then
    select object_identity, object_type into touched, kind from pg_event_trigger_dropped_objects()
     where object_type <> 'policy' and (schema_name = 'realtime' or object_identity like '% on realtime.%');
  else
    select object_identity, object_type into touched, kind from pg_event_trigger_ddl_commands()
     where object_type not in ('policy', 'trigger')
       and (schema_name = 'realtime' or object_identity like 'realtime.% in publication %');
  end if;
  if touched is not null then
    raise exception 'must be owner of %',
      case kind when 'function' then 'function ' || substring(touched from '[^.(]+(?=\()') else 'table messages' end
      using errcode = 'insufficient_privilege';
  end if;
end
$$;
drop event trigger if exists standin_guard_ddl;
create event trigger standin_guard_ddl on ddl_command_end execute function standin.guard();
drop event trigger if exists standin_guard_drop;
create event trigger standin_guard_drop on sql_drop execute function standin.guard();

-- The real server has the log read by wal2json, which knows no publications: it is given the names of the tables that are in
-- this one, and neither column lists nor row filters. pgoutput goes by a publication, so it has a copy without them. (By its
-- name Supabase's command line knows that it is none of the project's own.)
-- It changes in the transaction that changes the original, and by the same step: other tables are not locked for it.
-- In the role of a replica no event trigger fires again for what it does itself.
drop publication if exists standin_changes;
create or replace function standin.copy_publication() returns event_trigger
language plpgsql security definer set search_path = '' set session_replication_role = replica as $$
declare
  original pg_catalog.pg_publication;
  copied pg_catalog.pg_publication;
  step text;
begin
  select * into original from pg_catalog.pg_publication where pubname = 'supabase_realtime';
  select * into copied from pg_catalog.pg_publication where pubname = 'supabase_realtime_copy';
  if copied.oid is null or copied.puballtables <> coalesce(original.puballtables, false) then
    drop publication if exists supabase_realtime_copy;
    execute 'create publication supabase_realtime_copy' || case when original.puballtables then ' for all tables' else '' end;
    select * into copied from pg_catalog.pg_publication where pubname = 'supabase_realtime_copy';
  end if;
  for step in
    select 'add table only ' || prrelid::regclass from pg_catalog.pg_publication_rel r
     where prpubid = original.oid
       and not exists (select from pg_catalog.pg_publication_rel c where c.prpubid = copied.oid and c.prrelid = r.prrelid)
    union all
    select 'drop table only ' || prrelid::regclass from pg_catalog.pg_publication_rel c
     where prpubid = copied.oid
       and not exists (select from pg_catalog.pg_publication_rel r where r.prpubid = original.oid and r.prrelid = c.prrelid)
    union all
    select 'add tables in schema ' || pnnspid::regnamespace from pg_catalog.pg_publication_namespace n
     where pnpubid = original.oid
       and not exists (select from pg_catalog.pg_publication_namespace c where c.pnpubid = copied.oid and c.pnnspid = n.pnnspid)
    union all
    select 'drop tables in schema ' || pnnspid::regnamespace from pg_catalog.pg_publication_namespace c
     where pnpubid = copied.oid
       and not exists (select from pg_catalog.pg_publication_namespace n where n.pnpubid = original.oid and n.pnnspid = c.pnnspid)
    union all
    select format(
        'set (publish = %L)',
        concat_ws(
          ', ',
          case when original.pubinsert then 'insert' end,
          case when original.pubupdate then 'update' end,
          case when original.pubdelete then 'delete' end
        )
      )
     where (copied.pubinsert, copied.pubupdate, copied.pubdelete, copied.pubtruncate)
           is distinct from (original.pubinsert is true, original.pubupdate is true, original.pubdelete is true, false)
  loop
    execute 'alter publication supabase_realtime_copy ' || step;
  end loop;
end
$$;
drop event trigger if exists standin_copy_publication;
create event trigger standin_copy_publication on ddl_command_end
  when tag in ('CREATE PUBLICATION', 'ALTER PUBLICATION', 'DROP PUBLICATION', 'DROP OWNED')
  execute function standin.copy_publication();
-- The trigger makes the copy of what there is already.
alter publication supabase_realtime owner to postgres;
