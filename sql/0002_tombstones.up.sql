-- Tombstones: each seq that the events table can't hold has its row here, so that a reader can tell "never" from "not yet".
-- `event` is text, not jsonb: what jsonb refuses (\u0000, a lone surrogate, 1e400000) is still delivered, from here.

create table {schema}.monitoring_tombstones (
  epoch        text        not null,
  seq          bigint      not null,
  id           uuid        not null,
  reason       text        not null,
  event        text,
  committed_at timestamptz not null,
  created_at   timestamptz not null default now(),
  constraint monitoring_tombstones_pkey primary key (epoch, seq)
);

alter table {schema}.monitoring_tombstones enable row level security;
revoke all on table {schema}.monitoring_tombstones from public, anon, authenticated;

comment on table {schema}.monitoring_tombstones is 'Positions that have no row in monitoring_events, and why. Written by the relay of migctl.';
comment on column {schema}.monitoring_tombstones.reason is 'duplicate_of, conflict, poison, ...';
comment on column {schema}.monitoring_tombstones.event is
  'the event''s JSON text, still to be delivered; null only for duplicate_of, whose id was delivered before';

-- A dead letter that is retried: the row under its own seq and the end of its tombstone, in one transaction, so that a reader finds one of
-- the two at any moment. Returns what it found:
--   written       the row is new, and the tombstone is gone
--   repeated      the row was there already, by an earlier call whose answer was lost
--   taken         another row has this id: nothing was changed
--   no_tombstone  neither row nor tombstone is there (pruned, or never buried): nothing was changed
create function {schema}.monitoring_retry(
  p_id           uuid,
  p_event_type   text,
  p_timestamp    timestamptz,
  p_data         jsonb,
  p_source       text,
  p_epoch        text,
  p_seq          bigint,
  p_committed_at timestamptz
)
returns text
language plpgsql
-- The caller's own rights: service_role has them, nobody else has EXECUTE.
security invoker
set search_path = ''
as $retry$
declare
  held   {schema}.monitoring_events;
  buried boolean;
begin
  -- Of two calls at once the second waits here; what it reads below is what the first has left.
  perform from {schema}.monitoring_tombstones where epoch = p_epoch and seq = p_seq and id = p_id for update;
  buried := found;
  select * into held from {schema}.monitoring_events where id = p_id;
  if found then
    if (held.epoch, held.seq) is distinct from (p_epoch, p_seq) then
      return 'taken';
    end if;
    delete from {schema}.monitoring_tombstones where epoch = p_epoch and seq = p_seq;
    return 'repeated';
  end if;
  if not buried then
    return 'no_tombstone';
  end if;
  insert into {schema}.monitoring_events (id, event_type, "timestamp", data, source, epoch, seq, committed_at)
  values (p_id, p_event_type, p_timestamp, p_data, p_source, p_epoch, p_seq, p_committed_at);
  delete from {schema}.monitoring_tombstones where epoch = p_epoch and seq = p_seq;
  return 'written';
end
$retry$;

-- By default everybody may execute a new function, and a project's default grants name the API roles.
revoke all on function {schema}.monitoring_retry(uuid, text, timestamptz, jsonb, text, text, bigint, timestamptz)
  from public, anon, authenticated;
grant execute on function {schema}.monitoring_retry(uuid, text, timestamptz, jsonb, text, text, bigint, timestamptz)
  to service_role;

comment on function {schema}.monitoring_retry(uuid, text, timestamptz, jsonb, text, text, bigint, timestamptz) is
  'Writes the row of a dead letter under its own seq and removes its tombstone, both or neither. Returns written, repeated, taken or no_tombstone.';
