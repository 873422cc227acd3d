create table offers (
    id         label primary key,
    uuid       label constraint offers_uuid_key unique,
    -- No cascade: the tuples of an offer go before its row does.
    model_id   label not null constraint offers_model_fkey references models,
    name       label not null,
    state      text not null constraint offers_state_known check (state in ('creating', 'live', 'dying')),
    admins     text[] not null,
    public     boolean not null,
    force      boolean not null,
    details    jsonb,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    -- With the owner and name of the model unique, so is the URL.
    constraint offers_model_name_key unique (model_id, name),
    constraint offers_uuid_known check (state = 'creating' or uuid is not null)
);
create index offers_unsettled on offers (state, updated_at) where state <> 'live';
