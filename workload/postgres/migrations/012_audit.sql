-- Where a request came from, and the owner/name of its model at that time: a
-- model may be renamed to by another, and be gone when somebody asks.
alter table audit_events
    add column address text not null default '',
    add column model_name text collate "C" not null default '';
create index audit_events_model_name on audit_events (model_name, time) where model_name <> '';
