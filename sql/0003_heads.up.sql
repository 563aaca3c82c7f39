-- Heads: how far each epoch is, one row an epoch. A reader polls them first. A seq above table_head is not there yet; below table_tail
-- it is gone; between them it is a row or a tombstone, or something is broken.

create table {schema}.monitoring_heads (
  epoch        text        not null,
  prev_epoch   text,
  lost_from    bigint,
  lost_to      bigint,
  writer_id    text        not null,
  fence        bigint      not null default 0,
  started_at   timestamptz not null,
  table_tail   bigint      not null default 1,
  table_head   bigint      not null default 0,
  journal_head bigint      not null default 0,
  updated_at   timestamptz not null default now(),
  constraint monitoring_heads_pkey primary key (epoch)
);

alter table {schema}.monitoring_heads enable row level security;
revoke all on table {schema}.monitoring_heads from public, anon, authenticated;

comment on table {schema}.monitoring_heads is 'One row an epoch: how far the journal and the table are. Moved by monitoring_move_head only.';
comment on column {schema}.monitoring_heads.prev_epoch is 'the epoch that this one follows; readers finish that one first';
comment on column {schema}.monitoring_heads.lost_from is 'first seq of prev_epoch that neither journal nor table has; null where nothing was lost';
comment on column {schema}.monitoring_heads.writer_id is 'made with the journal and kept in it: who may move this row';
comment on column {schema}.monitoring_heads.fence is 'the highest lease that moved this row; a lower one is a relay that was replaced';
comment on column {schema}.monitoring_heads.table_tail is 'lowest seq that was not pruned';
comment on column {schema}.monitoring_heads.table_head is 'every seq from table_tail to here is a row or a tombstone';
comment on column {schema}.monitoring_heads.journal_head is 'highest seq of the journal, as the relay last saw it';

-- Opens the epoch's row, or moves it up. One statement decides, so two relays can't both win.
-- SQLSTATE PT409 is what PostgREST answers as HTTP 409.
create function {schema}.monitoring_move_head(
  p_epoch        text,
  p_writer_id    text,
  p_fence        bigint,
  p_table_head   bigint,
  p_journal_head bigint,
  p_prev_epoch   text        default null,
  p_lost_from    bigint      default null,
  p_lost_to      bigint      default null,
  p_started_at   timestamptz default null
)
returns {schema}.monitoring_heads
language plpgsql
-- The caller's own rights: service_role has them, nobody else has EXECUTE.
security invoker
set search_path = ''
as $move_head$
declare
  moved {schema}.monitoring_heads;
  held  {schema}.monitoring_heads;
begin
  insert into {schema}.monitoring_heads as h
    (epoch, writer_id, fence, table_head, journal_head, prev_epoch, lost_from, lost_to, started_at)
  values
    (p_epoch, p_writer_id, p_fence, p_table_head, p_journal_head, p_prev_epoch, p_lost_from, p_lost_to,
     coalesce(p_started_at, now()))
  on conflict (epoch) do update set
    fence        = excluded.fence,
    table_head   = greatest(h.table_head, excluded.table_head),
    journal_head = greatest(h.journal_head, excluded.journal_head),
    -- Known once the epoch is opened; a later call may leave them out.
    prev_epoch   = coalesce(h.prev_epoch, excluded.prev_epoch),
    lost_from    = coalesce(h.lost_from, excluded.lost_from),
    lost_to      = coalesce(h.lost_to, excluded.lost_to),
    updated_at   = now()
  where h.fence <= excluded.fence and h.writer_id = excluded.writer_id
  returning h.* into moved;

  if found then
    return moved;
  end if;

  select * into held from {schema}.monitoring_heads where epoch = p_epoch;
  if held.writer_id <> p_writer_id then
    raise exception 'epoch % belongs to writer %, not to %', p_epoch, held.writer_id, p_writer_id
      using errcode = 'PT409', hint = 'another journal writes this epoch: migctl journal adopt opens the next one';
  end if;
  raise exception 'fence % is below % in epoch %', p_fence, held.fence, p_epoch
    using errcode = 'PT409', hint = 'another relay took the lease; this one must stop';
end
$move_head$;

revoke all on function {schema}.monitoring_move_head(text, text, bigint, bigint, bigint, text, bigint, bigint, timestamptz)
  from public, anon, authenticated;

comment on function {schema}.monitoring_move_head(text, text, bigint, bigint, bigint, text, bigint, bigint, timestamptz) is
  'Opens or moves the row of an epoch: never down, never for a lower fence or another writer (PT409). Returns the row after the move.';
