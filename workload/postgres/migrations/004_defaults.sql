-- Model defaults: each user has their own, of a cloud (region '') and of its
-- regions.
create table model_defaults (
	owner text not null references identities (name),
	cloud text not null references clouds (name) on delete cascade,
	region text not null,
	config jsonb not null,
	primary key (owner, cloud, region)
);
