package cli

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// Program is under which names the commands are reached.
type Program string

// The programs. Both have all commands; Jimmctl has those that were there in
// 2024 by the names they had then, and the operator's own.
const (
	Jaas    Program = "jaas"
	Jimmctl Program = "jimmctl"
)

// entry is a command and where it is found: its name in jaas, and its words in
// jimmctl, such as "auth group add". An empty one is not there.
type entry struct {
	jaas, jimmctl string
	make          func(*JAAS) *cobra.Command
}

// section is what the help shows together.
type section struct {
	title   string
	entries []entry
}

// sections are all commands. A command's own texts call it, and others, by
// their names in jaas, as in "jaas show-model"; jimmctl puts its own there.
func sections() []section {
	return []section{
		{"Controllers", []entry{
			{"controllers", "controllers", (*JAAS).controllers},
			{"show-controller", "show-controller", (*JAAS).showController},
			{"register-controller", "register-controller", (*JAAS).registerController},
			{"", "controller-info", (*JAAS).controllerInfo},
			{"", "add-controller", (*JAAS).addController},
			{"unregister-controller", "remove-controller", (*JAAS).unregisterController},
			{"set-controller-deprecated", "set-controller-deprecated", (*JAAS).setControllerDeprecated},
			{"unset-controller-deprecated", "unset-controller-deprecated", (*JAAS).unsetControllerDeprecated},
			{"overview", "overview", (*JAAS).overview},
			{"juju-versions", "juju-versions", (*JAAS).jujuVersions},
			{"jobs", "jobs", (*JAAS).jobs},
		}},
		{"Controller profiles", []entry{
			{"add-controller-profile", "add-controller-profile", (*JAAS).addControllerProfile},
			{"update-controller-profile", "update-controller-profile", (*JAAS).updateControllerProfile},
			{"show-controller-profile", "show-controller-profile", (*JAAS).showControllerProfile},
			{"list-controller-profiles", "list-controller-profiles", (*JAAS).listControllerProfiles},
			{"remove-controller-profile", "remove-controller-profile", (*JAAS).removeControllerProfile},
		}},
		{"Clouds", []entry{
			{"add-cloud", "add-cloud-to-controller", (*JAAS).addCloud},
			{"remove-cloud", "remove-cloud-from-controller", (*JAAS).removeCloud},
		}},
		{"Models", []entry{
			{"models", "models", (*JAAS).models},
			{"show-model", "show-model", (*JAAS).showModel},
			{"add-model", "add-model", (*JAAS).addModel},
			{"model-status", "model-status", (*JAAS).modelStatus},
			{"query-models", "query-models", (*JAAS).queryModels},
			{"list-migration-targets", "list-migration-targets", (*JAAS).listMigrationTargets},
			{"import-model", "import-model", (*JAAS).importModel},
			{"update-migrated-model", "update-migrated-model", (*JAAS).updateMigratedModel},
		}},
		{"Groups and roles", []entry{
			{"groups", "auth group list", (*JAAS).groups},
			{"add-group", "auth group add", (*JAAS).addGroup},
			{"rename-group", "auth group rename", (*JAAS).renameGroup},
			{"remove-group", "auth group remove", (*JAAS).removeGroup},
			{"roles", "auth role list", (*JAAS).roles},
			{"add-role", "auth role add", (*JAAS).addRole},
			{"rename-role", "auth role rename", (*JAAS).renameRole},
			{"remove-role", "auth role remove", (*JAAS).removeRole},
		}},
		{"Permissions", []entry{
			{"add-permission", "auth relation add", (*JAAS).addPermission},
			{"remove-permission", "auth relation remove", (*JAAS).removePermission},
			{"check-permission", "auth relation check", (*JAAS).checkPermission},
			{"permissions", "auth relation list", (*JAAS).permissions},
			{"explain-permission", "auth relation explain", (*JAAS).explainPermission},
		}},
		{"Sessions", []entry{
			{"sessions", "sessions", (*JAAS).sessions},
			{"revoke-session", "revoke-session", (*JAAS).revokeSession},
		}},
		{"Signing keys", []entry{
			{"signing-keys", "signing-keys", (*JAAS).signingKeys},
			{"rotate-keys", "rotate-keys", (*JAAS).rotateKeys},
		}},
		{"Audit log", []entry{
			{"grant-audit-log", "grant-audit-log-access", (*JAAS).grantAuditLog},
			{"revoke-audit-log", "revoke-audit-log-access", (*JAAS).revokeAuditLog},
			{"audit-events", "audit-events", (*JAAS).auditEvents},
			{"purge-audit-logs", "purge-audit-logs", (*JAAS).purgeAuditLogs},
		}},
	}
}

// OperatorTitle is the section of the help that JAAS.Operator's commands are in.
const OperatorTitle = "Operation, with the server's environment"

// branches are what jimmctl's commands of several words hang from.
var branches = map[string]string{
	"auth":          "Say who may do what",
	"auth group":    "Groups of users",
	"auth role":     "Roles, which users and groups have",
	"auth relation": "Permissions of users, groups and roles",
}

// path is where a program has a command, empty if it has not.
func (e entry) path(p Program) string {
	if p == Jimmctl {
		return e.jimmctl
	}
	return e.jaas
}

// grow hangs all commands of a program into its root.
func (j *JAAS) grow(root *cobra.Command) {
	for _, s := range sections() {
		for _, e := range s.entries {
			path := e.path(j.program())
			if path == "" {
				continue
			}
			cmd := e.make(j)
			j.name(cmd, path)
			parent, top := root, cmd
			words := strings.Fields(path)
			for i := range words[:len(words)-1] {
				parent = branch(parent, strings.Join(words[:i+1], " "), words[i])
				if i == 0 {
					top = parent
				}
			}
			parent.AddCommand(cmd)
			group(root, top, s.title)
		}
	}
	for _, cmd := range j.Operator {
		root.AddCommand(cmd)
		group(root, cmd, OperatorTitle)
	}
}

// group puts a command of the first level into a section of the help.
func group(root, cmd *cobra.Command, title string) {
	if !root.ContainsGroup(title) {
		root.AddGroup(&cobra.Group{ID: title, Title: title + ":"})
	}
	cmd.GroupID = title
}

// branch finds the command of this name that only has others below it, or adds it.
func branch(parent *cobra.Command, path, name string) *cobra.Command {
	for _, cmd := range parent.Commands() {
		if cmd.Name() == name {
			return cmd
		}
	}
	cmd := &cobra.Command{
		Use: name, Short: branches[path], Args: subcommand, SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	parent.AddCommand(cmd)
	return cmd
}

// name gives a command the name that a program has for it.
func (j *JAAS) name(cmd *cobra.Command, path string) {
	words := strings.Fields(path)
	last := words[len(words)-1]
	if own := cmd.Name(); own != last {
		cmd.Use = last + strings.TrimPrefix(cmd.Use, own)
		cmd.Aliases = nil // they are variants of the other name
	}
	cmd.Short, cmd.Long, cmd.Example = j.spell(cmd.Short), j.spell(cmd.Long), j.spell(cmd.Example)
}

// mention is a command in a text.
var mention = regexp.MustCompile(`\bjaas ([a-z]+(?:-[a-z]+)*)`)

// spell puts the program's own names of commands into a text that has jaas's.
func (j *JAAS) spell(text string) string {
	if j.program() == Jaas {
		return text
	}
	return mention.ReplaceAllStringFunc(text, func(found string) string {
		name := strings.TrimPrefix(found, "jaas ")
		for _, s := range sections() {
			for _, e := range s.entries {
				if e.jaas == name && e.path(j.program()) != "" {
					return string(j.program()) + " " + e.path(j.program())
				}
			}
		}
		return found
	})
}

// subcommand refuses the arguments of a command that only has others below it.
func subcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	message := fmt.Sprintf("unknown command %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		message += fmt.Sprintf(", did you mean %q?", near[0])
	}
	return UsageError(message)
}
