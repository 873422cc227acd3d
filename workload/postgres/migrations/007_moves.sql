-- The controller that a model has been found on, until all that says where it
-- is names that one. Not a reference: the controller may be removed before.
alter table models add column moving_to label;
create index models_moving on models (updated_at) where moving_to is not null;
