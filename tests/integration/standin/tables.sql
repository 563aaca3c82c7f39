-- Tables of these tests: rows that a role may read or not, and what a private channel needs.
create table public.notes (
  id uuid primary key default gen_random_uuid(),
  seq bigint unique,
  kind text not null default 'plain',
  data jsonb not null default '{}',
  owner text,
  made timestamptz not null default now()
);
alter table public.notes enable row level security;
revoke all on public.notes from anon;
create policy read on public.notes for select to authenticated using (owner is null or owner = auth.jwt() ->> 'sub');
create table public.plain (id int primary key, name text, secret text, flags text[], price numeric, at timestamp, ok boolean);
create table public.keyless (name text);
create table public.unpublished (id int primary key);
alter publication supabase_realtime add table public.notes, public.plain, public.keyless;

create function public.add_numbers(a bigint, b bigint default 10) returns bigint language sql as 'select a + b';
create function public.some_notes(n int) returns setof public.notes language sql as 'select * from public.notes order by seq limit n';
create function public.one_note(s bigint) returns public.notes language sql as 'select * from public.notes where seq = s';
create function public.nothing() returns void language sql as '';
create function public.conflict() returns void language plpgsql as $$
begin raise exception 'held by another' using errcode = 'PT409', detail = 'writer b', hint = 'adopt it'; end $$;
create function public.only_service() returns text language sql as $$select 'yes'$$;
revoke execute on function public.only_service() from public, anon, authenticated;

create policy hear on realtime.messages for select to authenticated
  using (realtime.topic() like 'room:%' and extension in ('broadcast', 'presence'));
create policy speak on realtime.messages for insert to authenticated
  with check (realtime.topic() = 'room:open' and extension = 'broadcast');

create function public.patience() returns text language sql as $$select current_setting('statement_timeout')$$;
create function public.whoami() returns jsonb language sql as $$
  select jsonb_build_object('user', current_user, 'claims', auth.jwt(), 'method', current_setting('request.method'))
$$;
