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
