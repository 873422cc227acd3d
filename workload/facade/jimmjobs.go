package facade

import (
	"context"

	jimmparams "github.com/canonical/jimm-go-sdk/v3/api/params"

	"github.com/juju/juju/core/semversion"

	"jimm/workload/estate"
)

// jimmJobMethods are about work that takes long: there is none yet.
var jimmJobMethods = methods{
	"JobInfo":               call(jobInfo),
	"ListJobs":              call(listJobs),
	"SupportedJujuVersions": call(supportedJujuVersions),

	"StartBootstrap":         later("bootstrap controllers", "bootstrap with juju, and register what you get with jaas register-controller"),
	"StopBootstrap":          later("bootstrap controllers", "there is nothing to stop"),
	"BootstrapInfo":          later("bootstrap controllers", "there is nothing to tell"),
	"StartDestroyController": later("destroy controllers", "take it out with jaas unregister-controller, and destroy it with juju"),
	"UpgradeTo":              later("upgrade models by migrating them", "migrate with juju, and tell JIMM with jaas update-migrated-model"),
	"UpgradeController":      later("upgrade controllers", "upgrade with juju, JIMM notices the new version"),
	"MigrateModel":           later("migrate models between controllers", "migrate with juju, and tell JIMM with jaas update-migrated-model"),
	"PrepareModelMigration":  later("take in models by migration", "jaas import-model takes in those on its own controllers"),
}

func jobInfo(ctx context.Context, c *Connection, args jimmparams.JobInfoRequest) (jimmparams.JobInfoResponse, error) {
	return jimmparams.JobInfoResponse{}, c.server.Estate.CheckJob(ctx, *c.User(), args.JobID)
}

func listJobs(ctx context.Context, c *Connection, args jimmparams.ListJobsRequest) (jimmparams.ListJobsResponse, error) {
	query := estate.JobQuery{Kinds: args.Kinds, Count: args.Count, Cursor: args.Cursor}
	for _, s := range args.Statuses {
		query.Statuses = append(query.Statuses, string(s))
	}
	return jimmparams.ListJobsResponse{Jobs: []jimmparams.ListJobInfo{}}, c.server.Estate.CheckJobs(ctx, *c.User(), query)
}

// supportedJujuVersions leaves the dates empty, which JIMM does not know.
func supportedJujuVersions(ctx context.Context, c *Connection, args jimmparams.SupportedJujuVersionsRequest) (jimmparams.SupportedJujuVersionsResponse, error) {
	least := ""
	if args.MinVersion != nil {
		least = *args.MinVersion
	}
	versions, err := c.server.Estate.JujuVersions(ctx, least)
	return jimmparams.SupportedJujuVersionsResponse{Versions: each(versions, func(v semversion.Number) jimmparams.VersionElem {
		return jimmparams.VersionElem{Version: v.String(), LinkToRelease: "https://github.com/juju/juju/releases/tag/v" + v.String()}
	})}, err
}
