-- What a controller of Juju 3 pushed of a model last: its size and the state
-- of what runs in it, which summaries do not have.
alter table models add column pushed jsonb;

-- Every change of models and controllers is announced on the channel "estate"
-- when its transaction commits, so that all units hear of what any of them
-- wrote. The payload is JSON:
--   models       UUIDs of models that changed, came or went
--   controllers  UUIDs of those that should be asked at once, because models
--                there have begun or ended their life
--   fleet        true when controllers came, went, or changed their state
--   all          true when anything may have changed
create function announce(payload jsonb) returns void language plpgsql as $$
begin
    if octet_length(payload::text) > 7900 then
        payload := jsonb_build_object('all', true);
    end if;
    perform pg_notify('estate', payload::text);
end $$;

create function announce_models() returns trigger language plpgsql as $$
declare
    changed jsonb;
    urgent  jsonb;
begin
    if tg_op = 'INSERT' then
        select jsonb_agg(uuid) filter (where uuid is not null) into changed from after;
    elsif tg_op = 'DELETE' then
        select jsonb_agg(uuid) filter (where uuid is not null) into changed from before;
    else
        select jsonb_agg(a.uuid) filter (where a.uuid is not null),
            jsonb_agg(distinct a.controller_uuid) filter (where a.uuid is not null
                and (a.state <> b.state or a.uuid is distinct from b.uuid or a.controller_uuid <> b.controller_uuid))
            into changed, urgent
            from after a join before b using (id) where a is distinct from b;
    end if;
    if changed is not null then
        perform announce(jsonb_strip_nulls(jsonb_build_object('models', changed, 'controllers', urgent)));
    end if;
    return null;
end $$;

create trigger models_inserted after insert on models
    referencing new table as after for each statement execute function announce_models();
create trigger models_updated after update on models
    referencing old table as before new table as after for each statement execute function announce_models();
create trigger models_deleted after delete on models
    referencing old table as before for each statement execute function announce_models();

create function announce_controller() returns trigger language plpgsql as $$
begin
    perform announce(jsonb_build_object('fleet', true, 'all', tg_op = 'UPDATE'));
    return null;
end $$;

create trigger controllers_came_or_went after insert or delete on controllers
    for each row execute function announce_controller();
create trigger controllers_changed after update on controllers
    for each row when (old.state <> new.state or old.unavailable_since is distinct from new.unavailable_since)
    execute function announce_controller();
