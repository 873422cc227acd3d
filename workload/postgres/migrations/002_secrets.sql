-- Used by package sealed: values are encrypted before they get here.
create table secrets (
    path       text collate "C" primary key constraint secrets_path_length check (octet_length(path) between 1 and 2048),
    version    integer not null,
    sealed     bytea not null,
    updated_at timestamptz not null default now()
);
