-- Where the secrets are, so that no unit begins with none because its settings
-- point elsewhere: place is "sealed" (the table secrets) or "vault". A move that
-- has begun has its target, and what a move left behind is in leftover.
create table secret_state (
    single   boolean primary key default true check (single),
    place    text not null,
    target   text not null default '',
    leftover text not null default ''
);
insert into secret_state (place) select 'sealed' where exists (select from secrets);
