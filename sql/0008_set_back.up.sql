-- A target that went back in time (restored from a backup, reset, emptied) has fewer rows than heads say, or than the relay has carried.
-- The relay writes again what its journal still has, and until then heads must not promise it.

-- Says what the epoch's rows are: from p_table_tail to p_table_head. The only one that takes table_head down; table_tail never goes down,
-- since what was pruned is not written again. Refused (PT409) for a lower fence or another writer. Returns the row after the move; a line
-- of PostgreSQL's log says why.
create function {schema}.monitoring_set_back(
  p_epoch text, p_writer_id text, p_fence bigint, p_table_tail bigint, p_table_head bigint, p_reason text
)
returns {schema}.monitoring_heads
language plpgsql
-- The caller's own rights: service_role has them, nobody else has EXECUTE.
security invoker
set search_path = ''
as $set_back$
declare
  moved {schema}.monitoring_heads;
begin
  update {schema}.monitoring_heads as h
  set table_tail = greatest(h.table_tail, p_table_tail),
      table_head = p_table_head,
      fence      = p_fence,
      updated_at = now()
  where h.epoch = p_epoch and h.writer_id = p_writer_id and h.fence <= p_fence
  returning h.* into moved;

  if not found then
    raise exception 'epoch % is not of writer % and fence %, or there is none', p_epoch, p_writer_id, p_fence
      using errcode = 'PT409', hint = 'another journal or relay writes this epoch; this one must stop';
  end if;
  raise log 'monitoring_heads of epoch % set back to %..%: %', p_epoch, moved.table_tail, moved.table_head, p_reason;
  return moved;
end
$set_back$;

-- By default everybody may execute a new function, and a project's default grants name the API roles.
revoke all on function {schema}.monitoring_set_back(text, text, bigint, bigint, bigint, text) from public, anon, authenticated;
grant execute on function {schema}.monitoring_set_back(text, text, bigint, bigint, bigint, text) to service_role;

comment on function {schema}.monitoring_set_back(text, text, bigint, bigint, bigint, text) is
  'Says what rows an epoch has after the target went back in time; the only one that takes table_head down. Returns the row after the move.';
