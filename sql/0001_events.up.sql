-- The events table: one row for each event that the relay has carried from the journal.
--
-- Placeholders, filled in by `migctl schema apply`: {schema} is the quoted name of the schema, {schema_text} the same as a string.
-- Each file runs in one transaction, together with its row in the ledger (migctl.schema_migrations). A file that was applied is never
-- edited: a change is a new file.
--
-- Everything here may meet a table that somebody made by hand before migctl came: that table is adopted, and its rows stay.

do $$
begin
  -- Not `create schema if not exists`: that asks for CREATE on the database even where the schema is there.
  if not exists (select from pg_catalog.pg_namespace where nspname = {schema_text}) then
    create schema {schema};
  end if;
end
$$;

create table if not exists {schema}.monitoring_events (
  id          uuid primary key,
  event_type  text        not null,
  "timestamp" timestamptz not null,
  data        jsonb       not null,
  source      text        not null,
  created_at  timestamptz not null default now()
);

-- Closed from its first moment on: a default grant of the platform may have opened it to anon. 0004 opens what is wanted.
alter table {schema}.monitoring_events enable row level security;
revoke all on table {schema}.monitoring_events from public, anon, authenticated;

-- An adopted table may have narrower types. Text is only widened; a time without a zone is read as UTC, which is what Supabase's
-- servers run on. What can't be converted fails here, and nothing is changed.
do $$
declare
  wanted record;
begin
  for wanted in
    select w.name, w.type, a.atttypid::regtype::text as found
    from (values ('id', 'uuid'), ('event_type', 'text'), ('timestamp', 'timestamp with time zone'), ('data', 'jsonb'),
                 ('source', 'text'), ('created_at', 'timestamp with time zone')) as w(name, type)
    join pg_catalog.pg_attribute a
      on a.attrelid = '{schema}.monitoring_events'::regclass and a.attname = w.name and not a.attisdropped
    where pg_catalog.format_type(a.atttypid, a.atttypmod) <> w.type
  loop
    if wanted.type in ('uuid', 'jsonb') then  -- a default of the old type would be in the way; the relay gives every column
      execute format('alter table {schema}.monitoring_events alter column %I drop default', wanted.name);
    end if;
    execute format('alter table {schema}.monitoring_events alter column %I type %s using %I%s',
                   wanted.name, wanted.type, wanted.name,
                   case when wanted.found = 'timestamp without time zone' then ' at time zone ''UTC'''
                        else '::' || wanted.type end);
  end loop;
end
$$;

-- epoch, seq and committed_at are null in adopted rows only: those were in the table before there was a journal.
alter table {schema}.monitoring_events
  add column if not exists created_at   timestamptz,
  add column if not exists epoch        text,
  add column if not exists seq          bigint,
  add column if not exists committed_at timestamptz;

update {schema}.monitoring_events set created_at = "timestamp" where created_at is null;

alter table {schema}.monitoring_events
  alter column event_type  set not null,
  alter column "timestamp" set not null,
  alter column data        set not null,
  alter column source      set not null,
  alter column created_at  set not null,
  alter column created_at  set default now();

do $$
begin
  if not exists (select from pg_catalog.pg_constraint
                 where conrelid = '{schema}.monitoring_events'::regclass and contype = 'p') then
    alter table {schema}.monitoring_events add constraint monitoring_events_pkey primary key (id);
  end if;
  -- Two rows for one position would be two histories. It is also the index that catch-up pages along.
  if not exists (select from pg_catalog.pg_constraint
                 where conrelid = '{schema}.monitoring_events'::regclass and conname = 'monitoring_events_epoch_seq_key') then
    alter table {schema}.monitoring_events add constraint monitoring_events_epoch_seq_key unique (epoch, seq);
  end if;
end
$$;

comment on table {schema}.monitoring_events is
  'Events, written by the relay of migctl. A position is (epoch, seq). Rows are inserted, never changed.';
comment on column {schema}.monitoring_events.id is 'the producer''s id; a repeat of it is dropped';
comment on column {schema}.monitoring_events."timestamp" is 'when it happened, as the producer says';
comment on column {schema}.monitoring_events.epoch is 'one unbroken history of one journal; null in rows older than the journal';
comment on column {schema}.monitoring_events.seq is 'contiguous from 1 within the epoch; each is a row here or a tombstone';
comment on column {schema}.monitoring_events.committed_at is 'when the journal had it on disk; latency counts from here';
comment on column {schema}.monitoring_events.created_at is 'when this row was written; not commit order, never page by it';
