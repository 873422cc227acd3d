package cli

import (
	"context"
	"strings"

	"github.com/canonical/jimm-go-sdk/v3/api/params"
	"github.com/spf13/cobra"
)

// noun is what groups and roles differ in for the commands.
type noun struct {
	// name is group or role, people what its members are called after #.
	name, people string
	// method names a method of the JIMM facade, such as AddGroup.
	method func(verb string) string
	// list is the method that lists them, complete lists their names.
	list     string
	complete func(*JAAS) nameList
	example  string
}

var (
	groupNoun = noun{"group", "member", func(verb string) string { return verb + "Group" }, "ListGroups", (*JAAS).completeGroups, "engineering"}
	roleNoun  = noun{"role", "assignee", func(verb string) string { return verb + "Role" }, "ListRoles", (*JAAS).completeRoles, "operator"}
)

func (j *JAAS) addGroup() *cobra.Command    { return j.addNoun(groupNoun) }
func (j *JAAS) renameGroup() *cobra.Command { return j.renameNoun(groupNoun) }
func (j *JAAS) removeGroup() *cobra.Command { return j.removeNoun(groupNoun) }
func (j *JAAS) groups() *cobra.Command      { return j.listNoun(groupNoun) }
func (j *JAAS) addRole() *cobra.Command     { return j.addNoun(roleNoun) }
func (j *JAAS) renameRole() *cobra.Command  { return j.renameNoun(roleNoun) }
func (j *JAAS) removeRole() *cobra.Command  { return j.removeNoun(roleNoun) }
func (j *JAAS) roles() *cobra.Command       { return j.listNoun(roleNoun) }

// inWords fills the words of a noun into a text: NOUN, PEOPLE and EXAMPLE.
func (n noun) inWords(text string) string {
	return strings.NewReplacer("NOUN", n.name, "Noun", strings.ToUpper(n.name[:1])+n.name[1:], "PEOPLE", n.people, "EXAMPLE", n.example).Replace(text)
}

func (j *JAAS) addNoun(n noun) *cobra.Command {
	cmd := &cobra.Command{
		Use:   n.inWords("add-NOUN NAME"),
		Short: n.inWords("Make a NOUN"),
		Long: n.inWords(`Make a NOUN, which nobody is in yet. A name has 3 to 128 letters, digits, dots,
hyphens and underscores, begins with a letter and ends with a letter or digit.`),
		Example: n.inWords(`  jaas add-NOUN EXAMPLE
  jaas add-permission user-alice@example.com PEOPLE NOUN-EXAMPLE
  jaas add-permission NOUN-EXAMPLE#PEOPLE writer model-bob@example.com/staging`),
		Args:              Arguments(n.inWords("the name of the new NOUN")),
		ValidArgsFunction: j.complete(completeNothing),
	}
	out := j.NewOutput(cmd, "yaml", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		conn, err := j.connect(cmd.Context())
		if err != nil {
			return err
		}
		defer conn.Close()
		// Groups and roles are the same on the wire.
		var added params.Group
		if err := conn.call(cmd.Context(), n.method("Add"), params.AddGroupRequest{Name: args[0]}, &added); err != nil {
			return err
		}
		return out.Print(added, nil)
	}
	return cmd
}

func (j *JAAS) renameNoun(n noun) *cobra.Command {
	cmd := &cobra.Command{
		Use:               n.inWords("rename-NOUN NAME NEW-NAME"),
		Short:             n.inWords("Give a NOUN another name"),
		Long:              n.inWords("Give a NOUN another name. Who is in it, and what it may do, stays."),
		Example:           n.inWords("  jaas rename-NOUN EXAMPLE EXAMPLE-eu"),
		Args:              Arguments(n.inWords("the name of a NOUN"), "the new name"),
		ValidArgsFunction: j.complete(n.complete(j), completeNothing),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return j.callOnly(cmd.Context(), n.method("Rename"), params.RenameGroupRequest{Name: args[0], NewName: args[1]})
	}
	return cmd
}

func (j *JAAS) removeNoun(n noun) *cobra.Command {
	cmd := &cobra.Command{
		Use:   n.inWords("remove-NOUN NAME"),
		Short: n.inWords("Remove a NOUN, and what it may do"),
		Long: n.inWords(`Remove a NOUN, who is in it, and what it was given. Its people lose what they have
only through it at once, also on connections that are open.`),
		Example:           n.inWords("  jaas remove-NOUN EXAMPLE\n  jaas permissions --object NOUN-EXAMPLE --target model"),
		Args:              Arguments(n.inWords("the name of a NOUN")),
		ValidArgsFunction: j.complete(n.complete(j)),
	}
	prompt := j.NewPrompt(cmd, "force")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := prompt.Confirm("this removes the %s %q and everything it was given", n.name, args[0]); err != nil {
			return err
		}
		return j.callOnly(cmd.Context(), n.method("Remove"), params.RemoveGroupRequest{Name: args[0]})
	}
	return cmd
}

// usersetPage is how many groups or roles are asked for at once.
const usersetPage = 1000

func (j *JAAS) listNoun(n noun) *cobra.Command {
	cmd := &cobra.Command{
		Use:               n.name + "s",
		Aliases:           []string{"list-" + n.name + "s"},
		Short:             n.inWords("List the NOUNs"),
		Long:              n.inWords("List the NOUNs, by name: all, or with --limit and --offset a part."),
		Example:           n.inWords("  jaas NOUNs\n  jaas NOUNs --limit 20 --offset 40 --format json"),
		Args:              Arguments(),
		ValidArgsFunction: j.complete(),
	}
	out := j.NewOutput(cmd, "tabular", "yaml", "json")
	limit := cmd.Flags().Int("limit", 0, "list so many at most (default: all)")
	offset := cmd.Flags().Int("offset", 0, "leave out so many at the beginning")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *limit < 0 || *offset < 0 {
			return UsageError("--limit and --offset are not negative")
		}
		conn, err := j.connect(cmd.Context())
		if err != nil {
			return err
		}
		defer conn.Close()
		list, err := conn.listUsersets(cmd.Context(), n.list, *limit, *offset)
		if err != nil {
			return err
		}
		if len(list) == 0 && out.Tabular() && *offset > 0 {
			j.hint("No %ss beyond the first %d.", n.name, *offset)
			return nil
		}
		if len(list) == 0 && out.Tabular() {
			j.hint("No %ss. An administrator makes one with \"jaas add-%s NAME\".", n.name, n.name)
			return nil
		}
		return out.Print(list, func(t *Table) {
			t.Row("Name", "UUID", "Created", "Changed")
			for _, g := range list {
				t.Row(g.Name, g.UUID, g.CreatedAt, g.UpdatedAt)
			}
		})
	}
	return cmd
}

// listUsersets lists groups or roles, page by page. A limit of 0 is none.
func (c *connection) listUsersets(ctx context.Context, method string, limit, offset int) ([]params.Group, error) {
	all := []params.Group{}
	for {
		size := usersetPage
		if limit > 0 {
			size = min(size, limit-len(all))
		}
		var page params.ListGroupResponse
		if err := c.call(ctx, method, params.ListGroupsRequest{Limit: size, Offset: offset + len(all)}, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Groups...)
		if len(page.Groups) < size || len(all) == limit {
			return all, nil
		}
	}
}

func (j *JAAS) completeGroups() nameList { return j.completeUsersets("ListGroups") }
func (j *JAAS) completeRoles() nameList  { return j.completeUsersets("ListRoles") }

func (j *JAAS) completeUsersets(method string) nameList {
	return func(ctx context.Context) []string {
		var list params.ListGroupResponse
		j.ask(ctx, method, params.ListGroupsRequest{Limit: usersetPage}, &list)
		var found []string
		for _, g := range list.Groups {
			found = append(found, g.Name)
		}
		return found
	}
}

func (j *JAAS) grantAuditLog() *cobra.Command {
	return j.changeAuditLog(&cobra.Command{
		Use:     "grant-audit-log USER",
		Short:   "Let a user read the audit log",
		Long:    "Let a user read the audit log. One who may already is no error.",
		Example: "  jaas grant-audit-log auditor@example.com",
	}, "GrantAuditLogAccess")
}

func (j *JAAS) revokeAuditLog() *cobra.Command {
	return j.changeAuditLog(&cobra.Command{
		Use:   "revoke-audit-log USER",
		Short: "Take back what grant-audit-log gave",
		Long: `Take back what grant-audit-log gave. A user who administers JAAS, or has it through
a group or role, may read the audit log still; "jaas explain-permission USER
audit_log_viewer controller-jimm" says why.`,
		Example: "  jaas revoke-audit-log auditor@example.com",
	}, "RevokeAuditLogAccess")
}

func (j *JAAS) changeAuditLog(cmd *cobra.Command, method string) *cobra.Command {
	cmd.Args = Arguments("the name of a user, such as alice@example.com")
	cmd.ValidArgsFunction = j.complete(completeNothing)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		tag, err := userTag(args[0])
		if err != nil {
			return err
		}
		return j.callOnly(cmd.Context(), method, params.AuditLogAccessRequest{UserTag: tag, Level: "read"})
	}
	return cmd
}
