-- Logins of people. What is over is kept until its refresh token, if it has
-- one, is removed from where secrets are.
create table sessions (
    id           label primary key,
    user_name    label not null constraint sessions_user_fkey references identities,
    kind         text not null constraint sessions_kind_known check (kind in ('device', 'browser')),
    client       text not null,
    address      text not null,
    started_at   timestamptz not null,
    last_used    timestamptz not null,
    expires_at   timestamptz not null,
    -- How long it may be unused; zero is without a limit.
    idle_limit   interval not null,
    groups       text[] not null,
    refreshed_at timestamptz not null,
    refreshable  boolean not null,
    ended_at     timestamptz
);
create index sessions_user on sessions (user_name, started_at);
create index sessions_expiry on sessions (expires_at);
create index sessions_ended on sessions (ended_at) where ended_at is not null;

-- When all sessions of a user, and the connections of a service account, were
-- last ended.
alter table identities add column ended_at timestamptz;
