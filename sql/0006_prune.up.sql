-- Pruning: the tail of an epoch is moved up before the rows below it are deleted, so that a reader is told "gone" and never meets a hole.
-- `migctl schema prune` calls this, and then deletes.

-- Moves table_tail up, never down, and never above table_head: the newest row of an epoch stays. Returns the row after the move.
-- SQLSTATE PT404 is what PostgREST answers as HTTP 404.
create function {schema}.monitoring_move_tail(p_epoch text, p_table_tail bigint)
returns {schema}.monitoring_heads
language plpgsql
-- The caller's own rights: the owner of the tables has them, and service_role.
security invoker
set search_path = ''
as $move_tail$
declare
  moved {schema}.monitoring_heads;
begin
  update {schema}.monitoring_heads as h
  set table_tail = greatest(h.table_tail, least(p_table_tail, h.table_head)),
      updated_at = now()
  where h.epoch = p_epoch
  returning h.* into moved;

  if not found then
    raise exception 'there is no epoch %', p_epoch
      using errcode = 'PT404', hint = 'monitoring_heads has one row an epoch';
  end if;
  return moved;
end
$move_tail$;

-- By default everybody may execute a new function, and a project's default grants name the API roles.
revoke all on function {schema}.monitoring_move_tail(text, bigint) from public, anon, authenticated;
grant execute on function {schema}.monitoring_move_tail(text, bigint) to service_role;

comment on function {schema}.monitoring_move_tail(text, bigint) is
  'Moves table_tail of an epoch: never down, never above table_head. What is below it may be deleted. Returns the row after the move.';

-- The relay calls this where its journal has been trimmed before it first ran: the epoch then begins at p_table_tail, and what was before
-- it was never in the table. Tail and head move in one statement, so no reader ever sees a hole between them. Changes nothing where the
-- epoch has rows up to there. Returns the row after the move.
create function {schema}.monitoring_begin_at(p_epoch text, p_table_tail bigint)
returns {schema}.monitoring_heads
language plpgsql
security invoker
set search_path = ''
as $begin_at$
declare
  moved {schema}.monitoring_heads;
begin
  update {schema}.monitoring_heads as h
  set table_tail = case when h.table_head < p_table_tail - 1 then p_table_tail else h.table_tail end,
      table_head = greatest(h.table_head, p_table_tail - 1),
      updated_at = now()
  where h.epoch = p_epoch
  returning h.* into moved;

  if not found then
    raise exception 'there is no epoch %', p_epoch
      using errcode = 'PT404', hint = 'monitoring_heads has one row an epoch';
  end if;
  return moved;
end
$begin_at$;

revoke all on function {schema}.monitoring_begin_at(text, bigint) from public, anon, authenticated;
grant execute on function {schema}.monitoring_begin_at(text, bigint) to service_role;

comment on function {schema}.monitoring_begin_at(text, bigint) is
  'Lets an epoch begin at this seq, where nothing of it is in the table yet. Returns the row after the move.';
