-- Saved options with which to bootstrap controllers.
create table profiles (
    name         label constraint profiles_pkey primary key,
    description  text not null,
    juju_version text not null,
    version      integer not null,
    cloud_name   label not null,
    region_name  text not null,
    cloud        jsonb not null,
    options      jsonb not null,
    created_at   timestamptz not null,
    updated_at   timestamptz not null
);
