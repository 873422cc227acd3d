-- Groups and roles. Who is in one, and what it may do, only OpenFGA knows.
create table usersets (
    uuid       label primary key,
    kind       text not null constraint usersets_kind_known check (kind in ('group', 'role')),
    name       label not null,
    state      text not null constraint usersets_state_known check (state in ('live', 'removing')),
    created_at timestamptz not null,
    updated_at timestamptz not null
);
-- The name of one that is being removed is free again.
create unique index usersets_name_key on usersets (kind, name) where state = 'live';
create index usersets_removing on usersets (updated_at) where state = 'removing';
