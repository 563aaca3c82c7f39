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
