package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/juju/names/v6"
	"github.com/spf13/cobra"

	"jimm/workload/jimmapi"
)

func (j *JAAS) sessions() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "List who is logged in, and from where",
		Long: `List who is logged in, and from where: your own sessions or, for an administrator
of JAAS, those of a user or of everyone.

A session begins when somebody logs in, with juju or with a browser, and lasts
until it expires or is revoked. "Last used" is exact to a minute; a connection that
is open is use. The mark * is at the session of this very command. A service
account has none: it shows its credentials each time.`,
		Example: `  jaas sessions
  jaas sessions --user alice@example.com
  jaas sessions --all --format json`,
		Args: Arguments(),
	}
	out := j.NewOutput(cmd, "tabular", "json", "yaml")
	user := cmd.Flags().String("user", "", "those of this `USER`")
	all := cmd.Flags().Bool("all", false, "those of everyone")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *user != "" && *all {
			return UsageError("--user does not go with --all")
		}
		tag, err := userTag(*user)
		if err != nil {
			return err
		}
		conn, err := j.connect(cmd.Context())
		if err != nil {
			return err
		}
		defer conn.Close()
		var result jimmapi.ListSessionsResponse
		err = conn.call(cmd.Context(), "ListSessions", jimmapi.ListSessionsRequest{UserTag: tag, All: *all}, &result)
		if err != nil {
			return err
		}
		if len(result.Sessions) == 0 && out.Tabular() {
			j.hint("No sessions.")
			return nil
		}
		now := time.Now()
		return out.Print(result.Sessions, func(t *Table) {
			t.Row("ID", "User", "Kind", "Client", "Address", "Started", "Last used", "Expires")
			for _, s := range result.Sessions {
				id := shortID(s.ID)
				if s.Current {
					id += "*"
				}
				t.Row(id, strings.TrimPrefix(s.UserTag, "user-"), s.Kind, s.Client, s.Address,
					s.Started.Local().Format(time.DateTime), ago(now.Sub(s.LastUsed)), "in "+span(s.Expires.Sub(now)))
			}
		})
	}
	return cmd
}

func (j *JAAS) revokeSession() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke-session [ID...]",
		Short: "End sessions: log somebody out",
		Long: `End sessions: log somebody out. Whoever comes with one is asked to log in again,
and its open connections close within five seconds.

ID is what "jaas sessions" shows; eight or more characters of it will do. You may
end your own sessions; an administrator of JAAS may end those of others.

--user ends all sessions of a user. For a service account it closes its
connections: its credentials work on, unless the identity provider refuses them,
which JAAS then asks at once. --all logs everyone out, yourself too.

Nobody is kept from logging in again: for that, lock the account at the identity
provider first.`,
		Example: `  jaas revoke-session 3f9a0c12
  jaas revoke-session --user alice@example.com
  jaas revoke-session --all --no-prompt`,
	}
	cmd.ValidArgsFunction = j.complete(j.completeSessions)
	out := j.NewOutput(cmd, "tabular", "json", "yaml")
	user := cmd.Flags().String("user", "", "all of this `USER`")
	all := cmd.Flags().Bool("all", false, "all of everyone")
	prompt := j.NewPrompt(cmd)
	cmd.Args = func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0 && *user == "" && !*all:
			return UsageError("missing argument: the id of a session, or --user or --all")
		case len(args) > 0 && (*user != "" || *all):
			return UsageError("ids do not go with --user or --all")
		case *user != "" && *all:
			return UsageError("--user does not go with --all")
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		tag, err := userTag(*user)
		if err != nil {
			return err
		}
		if *all {
			if err := prompt.Confirm("This logs everyone out of JAAS, yourself too, and closes all connections."); err != nil {
				return err
			}
		}
		return j.revoke(cmd.Context(), jimmapi.RevokeSessionsRequest{IDs: args, UserTag: tag, All: *all}, out)
	}
	return cmd
}

func (j *JAAS) revoke(ctx context.Context, request jimmapi.RevokeSessionsRequest, out *Output) error {
	conn, err := j.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var result jimmapi.RevokeSessionsResponse
	if err := conn.call(ctx, "RevokeSessions", request, &result); err != nil {
		return err
	}
	switch {
	case len(result.Sessions) > 0:
	case request.All || strings.HasSuffix(request.UserTag, "@serviceaccount"):
		j.hint("There were no sessions; connections of service accounts have been closed.")
	default:
		j.hint("There were no sessions.")
	}
	return out.Print(result.Sessions, func(t *Table) {
		for _, s := range result.Sessions {
			t.Row("revoked", shortID(s.ID), strings.TrimPrefix(s.UserTag, "user-"), s.Client, s.Address)
		}
	})
}

// userTag is the tag of a user that may be empty.
func userTag(user string) (string, error) {
	if user == "" {
		return "", nil
	}
	user = strings.TrimPrefix(user, "user-")
	if !names.IsValidUser(user) || !strings.Contains(user, "@") {
		return "", UsageError(fmt.Sprintf("%q is not a user: give a name with its domain, such as alice@example.com", user))
	}
	return names.NewUserTag(user).String(), nil
}

// shortID is enough of a session's id to tell it from others.
func shortID(id string) string { return id[:min(len(id), 12)] }

// ago says for how long something has not happened.
func ago(d time.Duration) string {
	if d < 2*time.Minute {
		return "now"
	}
	return span(d) + " ago"
}

// span is a time that people can read.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "1m"
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
