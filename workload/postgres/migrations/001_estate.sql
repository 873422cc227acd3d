-- A name, path or id: short enough for any index, and printable.
create domain label as text collate "C"
    constraint label_printable check (octet_length(value) between 1 and 512 and value !~ '[\x01-\x1f\x7f]');

create table identities (
    name         label primary key,
    display_name text not null default '',
    created_at   timestamptz not null,
    last_login   timestamptz
);

create table controllers (
    uuid              label primary key,
    name              label not null constraint controllers_name_key unique,
    state             text not null constraint controllers_state_known check (state in ('adding', 'live', 'removing')),
    public_address    text not null,
    addresses         text[] not null,
    ca_certificate    text not null,
    tls_hostname      text not null,
    agent_version     text not null,
    cloud             text not null,
    region            text not null,
    deprecated        boolean not null,
    unavailable_since timestamptz,
    created_at        timestamptz not null,
    updated_at        timestamptz not null
);

create table clouds (
    name    label primary key,
    details jsonb not null
);

-- Which controller can make models in which region of which cloud.
create table region_controllers (
    cloud           label not null constraint region_controllers_cloud_fkey references clouds,
    region          label not null,
    controller_uuid label not null constraint region_controllers_controller_fkey references controllers on delete cascade,
    priority        integer not null,
    primary key (cloud, region, controller_uuid)
);
create index region_controllers_controller on region_controllers (controller_uuid);

create table credentials (
    cloud      label constraint credentials_cloud_fkey references clouds on delete cascade,
    owner      label constraint credentials_owner_fkey references identities,
    name       label,
    auth_type  text not null,
    attributes text[] not null,
    valid      boolean not null,
    updated_at timestamptz not null,
    primary key (owner, cloud, name)
);
create index credentials_cloud on credentials (cloud);

create table models (
    id              label primary key,
    uuid            label constraint models_uuid_key unique,
    owner           label not null constraint models_owner_fkey references identities,
    name            label not null,
    state           text not null constraint models_state_known check (state in ('creating', 'live', 'dying')),
    controller_uuid label not null constraint models_controller_fkey references controllers,
    cloud           label not null constraint models_cloud_fkey references clouds,
    region          text not null,
    -- cloud/owner/name, or empty. Not a reference: a credential that was
    -- revoked by force is still what the controller was told.
    credential      text not null,
    type            text not null,
    summary         jsonb,
    destroy         jsonb,
    gone_since      timestamptz,
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    constraint models_owner_name_key unique (owner, name),
    constraint models_uuid_known check (state = 'creating' or uuid is not null)
);
create index models_controller on models (controller_uuid);
create index models_cloud on models (cloud);
create index models_credential on models (credential) where credential <> '';
create index models_unsettled on models (state, updated_at) where state <> 'live';
