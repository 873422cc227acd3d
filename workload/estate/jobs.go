package estate

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/juju/juju/core/semversion"
)

// JobQuery says which jobs to list.
type JobQuery struct {
	Kinds, Statuses []string
	Count           int
	Cursor          string
}

// jobStatuses are what a job's status can be.
var jobStatuses = []string{"running", "successful", "pending", "failed", "unknown"}

// maxJobs is how many jobs a page has at most.
const maxJobs = 1000

// CheckJobs checks that u may list jobs in this way. Nothing that JIMM does is a
// job yet: there are none to list. Needs administrator of JIMM.
func (e *Estate) CheckJobs(ctx context.Context, u User, q JobQuery) error {
	if err := e.requireAdmin(ctx, u); err != nil {
		return err
	}
	if q.Count < 0 || q.Count > maxJobs {
		return Errorf(CodeBadRequest, "count must be between 0 and %d, not %d", maxJobs, q.Count)
	}
	if q.Cursor != "" {
		return Errorf(CodeBadRequest, "%q is not the cursor of a list of jobs", clip(q.Cursor))
	}
	for _, s := range q.Statuses {
		if !slices.Contains(jobStatuses, s) {
			return Errorf(CodeBadRequest, "%q is not the status of a job; there is %s", clip(s), strings.Join(jobStatuses, ", "))
		}
	}
	return nil
}

// CheckJob fails with CodeNotFound: there are no jobs yet. Needs administrator
// of JIMM.
func (e *Estate) CheckJob(ctx context.Context, u User, id string) error {
	if err := e.requireAdmin(ctx, u); err != nil {
		return err
	}
	if n, err := strconv.ParseInt(id, 10, 64); err != nil || n < 1 {
		return Errorf(CodeBadRequest, "%q is not the id of a job, a number", clip(id))
	}
	return Errorf(CodeNotFound, "job %s not found", id)
}

// JujuVersions returns the versions of Juju that the estate has controllers of
// and that are above least ("": all), the newest first: what a model can be
// upgraded to by migrating it. What has been released elsewhere JIMM does not
// know.
func (e *Estate) JujuVersions(ctx context.Context, least string) ([]semversion.Number, error) {
	var above semversion.Number
	if least != "" {
		var err error
		if above, err = semversion.Parse(least); err != nil {
			return nil, Errorf(CodeBadRequest, "%q is not a version of Juju, such as 4.1.2", clip(least))
		}
	}
	controllers, err := e.Store.Controllers(ctx, ControllerLive)
	if err != nil {
		return nil, err
	}
	var found []semversion.Number
	for _, c := range controllers {
		v, err := semversion.Parse(c.AgentVersion)
		if err != nil || v.Compare(above) <= 0 || slices.Contains(found, v) {
			continue
		}
		found = append(found, v)
	}
	slices.SortFunc(found, func(a, b semversion.Number) int { return b.Compare(a) })
	return found, nil
}
