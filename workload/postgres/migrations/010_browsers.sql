-- Until when the access token of a session by browser is good; then the issuer
-- is asked anew. Null: it need not be asked.
alter table sessions add column access_until timestamptz;

-- What browsers have brought back from the issuer: each state counts once. Rows
-- go when the state would not count any more by itself.
create table spent_states (
    digest text primary key,
    until  timestamptz not null
);
create index spent_states_until on spent_states (until);
