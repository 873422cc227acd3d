create table audit_events (
    id              bigint generated always as identity primary key,
    time            timestamptz not null,
    conversation_id text not null,
    message_id      bigint not null,
    facade          text not null,
    method          text not null,
    version         bigint not null,
    object_id       text not null,
    user_name       text collate "C" not null,
    model           text collate "C" not null,
    is_response     boolean not null,
    params          jsonb,
    error           text not null,
    error_code      text not null
);
create index audit_events_time on audit_events (time);
create index audit_events_user on audit_events (user_name, time);
create index audit_events_model on audit_events (model, time) where model <> '';
