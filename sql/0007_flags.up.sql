-- Flags: the record of who has which transport, and of every change to that. A row of monitoring_flags is a version of the flag set, and the
-- table is its history: nothing is updated or deleted. All writes go through the functions below, in one transaction with their audit row,
-- as service_role: neither `serve` nor `rollout` needs a database connection.

create table {schema}.monitoring_flags (
  n           bigint      not null,
  id          uuid        not null default gen_random_uuid(),
  target      text        not null,
  document    jsonb       not null,
  lifts       text[]      not null default '{}',
  kind        text        not null,
  actor       text        not null,
  reason      text        not null,
  written_at  timestamptz not null default now(),
  constraint monitoring_flags_pkey primary key (n),
  constraint monitoring_flags_id_key unique (id)
);

-- Brakes: no more than max_percent, until an up row names the id. They are kept for ever, as lifts are.
create table {schema}.monitoring_brakes (
  id           text        not null,
  target       text        not null,
  flag         text        not null,
  max_percent  numeric     not null,
  split        text        not null,
  actor        text        not null,
  reason       text        not null,
  pulled_at    timestamptz not null,
  recorded_at  timestamptz not null default now(),
  constraint monitoring_brakes_pkey primary key (id)
);

-- The processes that evaluate flags, so that who changes one can say which of them did not confirm.
create table {schema}.monitoring_processes (
  id          text        not null,
  name        text        not null,
  url         text,
  started_at  timestamptz not null default now(),
  seen_at     timestamptz not null default now(),
  constraint monitoring_processes_pkey primary key (id)
);

-- Where a rollout stands: a document of ours, moved by compare-and-set; and the lease of the one walker.
create table {schema}.monitoring_rollouts (
  flag         text        not null,
  version      bigint      not null default 0,
  state        jsonb,
  holder       text,
  fence        bigint      not null default 0,
  expires_at   timestamptz,
  updated_at   timestamptz not null default now(),
  constraint monitoring_rollouts_pkey primary key (flag)
);

-- What was done to flags and rollouts: who, when, why, before and after. flag: the one that it is about; null where it is about none, or
-- several. parts: all that it is about: flags, and evaluators (segments) with `$` before their names.
create table {schema}.monitoring_audit (
  at      timestamptz not null default now(),
  id      bigint      generated always as identity,
  action  text        not null,
  flag    text,
  parts   text[]      not null default '{}',
  actor   text        not null,
  reason  text        not null,
  before  jsonb,
  after   jsonb,
  constraint monitoring_audit_pkey primary key (id)
);

-- Evidence: one minute as the witness saw it. The worst verdict of a minute is kept.
create table {schema}.monitoring_evidence (
  started_at  timestamptz not null,
  id          text        not null,
  step        text,
  verdict     text        not null,
  document    jsonb       not null,
  sha256      text        not null,
  written_at  timestamptz not null default now(),
  constraint monitoring_evidence_pkey primary key (started_at)
);

alter table {schema}.monitoring_flags enable row level security;
alter table {schema}.monitoring_brakes enable row level security;
alter table {schema}.monitoring_processes enable row level security;
alter table {schema}.monitoring_rollouts enable row level security;
alter table {schema}.monitoring_audit enable row level security;
alter table {schema}.monitoring_evidence enable row level security;

revoke all
  on table {schema}.monitoring_flags, {schema}.monitoring_brakes, {schema}.monitoring_processes, {schema}.monitoring_rollouts,
           {schema}.monitoring_audit, {schema}.monitoring_evidence
  from public, anon, authenticated, service_role;
-- A project's default grants give service_role everything. History is appended to and read, never changed; what moves, moves.
grant select, insert on table {schema}.monitoring_flags, {schema}.monitoring_brakes, {schema}.monitoring_audit to service_role;
grant select, insert, update, delete on table {schema}.monitoring_processes to service_role;
grant select, insert, update on table {schema}.monitoring_rollouts, {schema}.monitoring_evidence to service_role;

create policy migctl_write on {schema}.monitoring_flags for all to service_role using (true) with check (true);
create policy migctl_write on {schema}.monitoring_brakes for all to service_role using (true) with check (true);
create policy migctl_write on {schema}.monitoring_processes for all to service_role using (true) with check (true);
create policy migctl_write on {schema}.monitoring_rollouts for all to service_role using (true) with check (true);
create policy migctl_write on {schema}.monitoring_audit for all to service_role using (true) with check (true);
create policy migctl_write on {schema}.monitoring_evidence for all to service_role using (true) with check (true);

-- All that a process has to hold, in one answer and one snapshot: the newest row and those of its n, every brake, the lowest n of each lift,
-- and who is registered. `rows` is empty where p_after is the newest n already; brakes and lifts always come, they are few.
create function {schema}.monitoring_flags_read(p_after bigint default 0)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $flags_read$
  select jsonb_build_object(
    'n', coalesce((select max(n) from {schema}.monitoring_flags), 0),
    'rows', coalesce((
      select jsonb_agg(to_jsonb(f) order by f.n)
      from {schema}.monitoring_flags f
      where f.n = (select max(n) from {schema}.monitoring_flags) and f.n <> p_after), '[]'::jsonb),
    'brakes', coalesce((select jsonb_agg(to_jsonb(b) order by b.recorded_at, b.id) from {schema}.monitoring_brakes b), '[]'::jsonb),
    'lifts', coalesce((
      select jsonb_object_agg(l.id, l.n)
      from (select unnest(f.lifts) as id, min(f.n) as n from {schema}.monitoring_flags f group by 1) l), '{}'::jsonb),
    'processes', coalesce((select jsonb_agg(to_jsonb(p) order by p.id) from {schema}.monitoring_processes p), '[]'::jsonb)
  )
$flags_read$;

-- Writes the next version, where p_expected_n is still the newest. n is above the head, above the database's clock in ms and above whatever
-- the caller has seen, so that a record that was put back never gives a number twice. A live brake on a flag that this raises, which
-- p_lifts does not name, refuses it: nobody lifts what they were not shown.
create function {schema}.monitoring_flags_write(
  p_target      text,
  p_expected_n  bigint,
  p_seen_n      bigint,
  p_document    jsonb,
  p_kind        text,
  p_lifts       text[],
  p_raises     text[],
  p_actor       text,
  p_reason      text
)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $flags_write$
declare
  head    {schema}.monitoring_flags;
  made    {schema}.monitoring_flags;
  unnamed text;
  parts   text[];
  keys    text[];
begin
  if p_kind not in ('up', 'down', 'edit') then
    raise exception 'no such kind of change: %', p_kind using errcode = 'PT400';
  end if;
  -- One writer at a time; who waited sees what the other wrote.
  perform pg_advisory_xact_lock(hashtextextended('{schema}.monitoring_flags', 0));
  select * into head from {schema}.monitoring_flags order by n desc limit 1;
  if coalesce(head.n, 0) <> p_expected_n then
    raise exception 'the flags were changed meanwhile: n is %, not %', coalesce(head.n, 0), p_expected_n
      using errcode = 'PT409', detail = coalesce(head.n, 0)::text, hint = 'look at what was changed, and try again';
  end if;
  if p_kind = 'up' then
    select b.id into unnamed
    from {schema}.monitoring_brakes b
    where b.id <> all (p_lifts) and b.flag = any (p_raises)
      and not exists (select 1 from {schema}.monitoring_flags f where b.id = any (f.lifts))
    limit 1;
    if found then
      raise exception 'brake % is live, and this change does not name it', unnamed
        using errcode = 'PT412', detail = unnamed, hint = 'see who pulled it, and why, before you lift it';
    end if;
  end if;
  insert into {schema}.monitoring_flags (n, target, document, lifts, kind, actor, reason)
  values (
    greatest(coalesce(head.n, 0) + 1, p_seen_n + 1, floor(extract(epoch from clock_timestamp()) * 1000)::bigint),
    p_target, p_document, p_lifts, p_kind, p_actor, p_reason)
  returning * into made;
  -- What differs, what it raises, and the flags whose brakes it ends: a row may do that alone.
  select coalesce(array_agg(distinct part order by part), '{}') into parts
  from (
    select case of.kind when 'flags' then key else '$' || key end
    from (values ('flags'), ('$evaluators')) of (kind),
      jsonb_object_keys(coalesce(head.document -> of.kind, '{}') || coalesce(p_document -> of.kind, '{}')) key
    where head.document -> of.kind -> key is distinct from p_document -> of.kind -> key
    union select unnest(p_raises)
    union select b.flag from {schema}.monitoring_brakes b where b.id = any (p_lifts)
  ) changed (part);
  keys := array(select part from unnest(parts) part where not starts_with(part, '$'));
  insert into {schema}.monitoring_audit (action, flag, parts, actor, reason, before, after)
  values (
    'flags.' || p_kind, case when cardinality(keys) = 1 then keys[1] end, parts, p_actor, p_reason, to_jsonb(head), to_jsonb(made));
  return to_jsonb(made);
end
$flags_write$;

-- Records a brake. Never refused: an id that is known, or that was lifted, is passed over. Where p_document was made from the newest row
-- (p_based_on), it becomes the next one, so that nothing is left to look at; else the brake alone does its work.
create function {schema}.monitoring_brake(p_target text, p_brake jsonb, p_document jsonb, p_based_on bigint, p_seen_n bigint)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $brake$
declare
  head   {schema}.monitoring_flags;
  made   {schema}.monitoring_flags;
  brake  {schema}.monitoring_brakes;
  is_new boolean;
begin
  if not (p_brake ->> 'max_percent')::numeric between 0 and 100 then
    raise exception 'a brake is 0 to 100 percent, not %', p_brake ->> 'max_percent' using errcode = 'PT400';
  end if;
  perform pg_advisory_xact_lock(hashtextextended('{schema}.monitoring_flags', 0));
  if exists (select 1 from {schema}.monitoring_flags f where (p_brake ->> 'id') = any (f.lifts)) then
    return jsonb_build_object('recorded', false, 'lifted', true);
  end if;
  select * into head from {schema}.monitoring_flags order by n desc limit 1;
  insert into {schema}.monitoring_brakes (id, target, flag, max_percent, split, actor, reason, pulled_at)
  values (
    p_brake ->> 'id', p_target, p_brake ->> 'flag', (p_brake ->> 'max_percent')::numeric, p_brake ->> 'split',
    p_brake ->> 'by', p_brake ->> 'reason', coalesce(nullif(p_brake ->> 'at', '')::timestamptz, now()))
  on conflict (id) do nothing
  returning * into brake;
  is_new := found;
  if is_new then
    insert into {schema}.monitoring_audit (action, flag, parts, actor, reason, before, after)
    values ('flags.brake', brake.flag, array[brake.flag], brake.actor, brake.reason, to_jsonb(head), to_jsonb(brake));
  end if;
  -- Also where a process that heard it first has handed it on already: only who pulled it brings the document.
  if p_document is not null and head.n = p_based_on then
    insert into {schema}.monitoring_flags (n, target, document, kind, actor, reason)
    values (
      greatest(head.n + 1, p_seen_n + 1, floor(extract(epoch from clock_timestamp()) * 1000)::bigint),
      p_target, p_document, 'down', p_brake ->> 'by', p_brake ->> 'reason')
    returning * into made;
    insert into {schema}.monitoring_audit (action, flag, parts, actor, reason, before, after)
    values ('flags.down', p_brake ->> 'flag', array[p_brake ->> 'flag'], made.actor, made.reason, to_jsonb(head), to_jsonb(made));
  end if;
  return jsonb_build_object('recorded', is_new, 'lifted', false);
end
$brake$;

-- Says that a process lives (p_name), or that it ended by itself (p_name null).
create function {schema}.monitoring_process(p_id text, p_name text, p_url text)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $process$
begin
  if p_name is null then
    delete from {schema}.monitoring_processes where id = p_id;
  else
    insert into {schema}.monitoring_processes as p (id, name, url) values (p_id, p_name, p_url)
    on conflict (id) do update set name = excluded.name, url = excluded.url, seen_at = now();
  end if;
  return coalesce((select jsonb_agg(to_jsonb(p) order by p.id) from {schema}.monitoring_processes p), '[]'::jsonb);
end
$process$;

-- Takes out a process that was killed and is nowhere started again: a person says so, and the audit has it.
create function {schema}.monitoring_process_forget(p_id text, p_actor text, p_reason text)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $process_forget$
declare
  gone {schema}.monitoring_processes;
begin
  delete from {schema}.monitoring_processes where id = p_id returning * into gone;
  if found then
    insert into {schema}.monitoring_audit (action, actor, reason, before)
    values ('flags.forget', p_actor, p_reason, to_jsonb(gone));
  end if;
  return coalesce((select jsonb_agg(to_jsonb(p) order by p.id) from {schema}.monitoring_processes p), '[]'::jsonb);
end
$process_forget$;

-- Takes or renews the lease of a flag's walker, by the database's clock. Returns the row; its holder says who has it.
create function {schema}.monitoring_lease(p_flag text, p_holder text, p_seconds double precision)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $lease$
declare
  held {schema}.monitoring_rollouts;
begin
  insert into {schema}.monitoring_rollouts (flag) values (p_flag) on conflict (flag) do nothing;
  update {schema}.monitoring_rollouts r
  set holder = p_holder,
      fence = case when r.holder is distinct from p_holder or r.expires_at < clock_timestamp() then r.fence + 1 else r.fence end,
      expires_at = clock_timestamp() + make_interval(secs => p_seconds)
  where r.flag = p_flag and (r.holder is null or r.holder = p_holder or r.expires_at < clock_timestamp());
  select * into held from {schema}.monitoring_rollouts where flag = p_flag;
  return to_jsonb(held) || jsonb_build_object('left_s', extract(epoch from held.expires_at - clock_timestamp()));
end
$lease$;

-- Moves a rollout to its next state, where p_expected is still its version; p_fence, where given, must be that of the lease.
create function {schema}.monitoring_rollout_write(
  p_flag      text,
  p_expected  bigint,
  p_state     jsonb,
  p_fence     bigint,
  p_action    text,
  p_actor     text,
  p_reason    text
)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $rollout_write$
declare
  held {schema}.monitoring_rollouts;
begin
  insert into {schema}.monitoring_rollouts (flag) values (p_flag) on conflict (flag) do nothing;
  select * into held from {schema}.monitoring_rollouts where flag = p_flag for update;
  if held.version <> p_expected then
    raise exception 'the rollout was changed meanwhile: version is %, not %', held.version, p_expected
      using errcode = 'PT409', detail = held.version::text, hint = 'look at `migctl rollout status`, and try again';
  end if;
  if p_fence is not null and held.fence <> p_fence then
    raise exception 'another walker took the lease (fence %, ours %)', held.fence, p_fence
      using errcode = 'PT412', hint = 'this walker stops';
  end if;
  update {schema}.monitoring_rollouts
  set version = p_expected + 1, state = p_state, updated_at = now()
  where flag = p_flag;
  insert into {schema}.monitoring_audit (action, flag, parts, actor, reason, before, after)
  values ('rollout.' || p_action, p_flag, array[p_flag], p_actor, p_reason, held.state, p_state);
  return jsonb_build_object('version', p_expected + 1);
end
$rollout_write$;

-- Moves a rollout to its next state, and raises the share with it, or does neither: a walker that was held up for long finds its lease taken,
-- or its state moved by a person, before anybody gets more.
create function {schema}.monitoring_rollout_open(
  p_rollout     jsonb,
  p_target      text,
  p_expected_n  bigint,
  p_seen_n      bigint,
  p_document    jsonb,
  p_lifts       text[],
  p_raises      text[]
)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $rollout_open$
begin
  perform {schema}.monitoring_rollout_write(
    p_rollout ->> 'flag', (p_rollout ->> 'expected')::bigint, p_rollout -> 'state', (p_rollout ->> 'fence')::bigint,
    p_rollout ->> 'action', p_rollout ->> 'actor', p_rollout ->> 'reason');
  return {schema}.monitoring_flags_write(
    p_target, p_expected_n, p_seen_n, p_document, 'up', p_lifts, p_raises, p_rollout ->> 'actor', p_rollout ->> 'reason');
end
$rollout_open$;

-- Keeps a minute of evidence; of two for one minute the worse.
create function {schema}.monitoring_evidence_write(p_minutes jsonb)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $evidence_write$
declare
  written bigint;
begin
  insert into {schema}.monitoring_evidence as e (started_at, id, step, verdict, document, sha256)
  select (m ->> 'started_at')::timestamptz, m ->> 'id', m ->> 'step', m ->> 'verdict', m, m ->> 'sha256'
  from jsonb_array_elements(p_minutes) m
  on conflict (started_at) do update
    set id = excluded.id, step = excluded.step, verdict = excluded.verdict, document = excluded.document, sha256 = excluded.sha256
    where e.verdict = 'pass' and excluded.verdict <> 'pass';
  get diagnostics written = row_count;
  return to_jsonb(written);
end
$evidence_write$;

revoke all on function {schema}.monitoring_flags_read(bigint) from public, anon, authenticated;
revoke all on function {schema}.monitoring_flags_write(text, bigint, bigint, jsonb, text, text[], text[], text, text)
  from public, anon, authenticated;
revoke all on function {schema}.monitoring_brake(text, jsonb, jsonb, bigint, bigint) from public, anon, authenticated;
revoke all on function {schema}.monitoring_process(text, text, text) from public, anon, authenticated;
revoke all on function {schema}.monitoring_process_forget(text, text, text) from public, anon, authenticated;
revoke all on function {schema}.monitoring_lease(text, text, double precision) from public, anon, authenticated;
revoke all on function {schema}.monitoring_rollout_write(text, bigint, jsonb, bigint, text, text, text) from public, anon, authenticated;
revoke all on function {schema}.monitoring_rollout_open(jsonb, text, bigint, bigint, jsonb, text[], text[]) from public, anon, authenticated;
revoke all on function {schema}.monitoring_evidence_write(jsonb) from public, anon, authenticated;

grant execute on function {schema}.monitoring_flags_read(bigint) to service_role;
grant execute on function {schema}.monitoring_flags_write(text, bigint, bigint, jsonb, text, text[], text[], text, text) to service_role;
grant execute on function {schema}.monitoring_brake(text, jsonb, jsonb, bigint, bigint) to service_role;
grant execute on function {schema}.monitoring_process(text, text, text) to service_role;
grant execute on function {schema}.monitoring_process_forget(text, text, text) to service_role;
grant execute on function {schema}.monitoring_lease(text, text, double precision) to service_role;
grant execute on function {schema}.monitoring_rollout_write(text, bigint, jsonb, bigint, text, text, text) to service_role;
grant execute on function {schema}.monitoring_rollout_open(jsonb, text, bigint, bigint, jsonb, text[], text[]) to service_role;
grant execute on function {schema}.monitoring_evidence_write(jsonb) to service_role;
