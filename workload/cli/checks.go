package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/canonical/jimm-go-sdk/v3/api/params"
	"github.com/spf13/cobra"

	"jimm/workload/jimmapi"
)

// checkResult is what check-permission prints for scripts.
type checkResult struct {
	Tuple   params.RelationshipTuple `json:"tuple"`
	Allowed bool                     `json:"allowed"`
	Result  string                   `json:"result"`
}

func (j *JAAS) checkPermission() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check-permission OBJECT RELATION TARGET",
		Short: "Ask whether somebody may do something",
		Long: `Ask whether somebody may do something. The exit code says it, too: 0 if so, 7 if not.

Anybody may ask about themselves, administrators of the target about it, and
administrators of JAAS about anything. What groups of the identity provider give
counts only for oneself: only who logs in brings them along.

` + tagGrammar,
		Example: `  jaas check-permission user-alice@example.com writer model-bob@example.com/staging
  jaas check-permission group-dev#member can_addmodel cloud-aws --format json`,
		Args:              Arguments("OBJECT", "RELATION", "TARGET"),
		ValidArgsFunction: j.completePermission,
	}
	out := j.NewOutput(cmd, "smart", "yaml", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		tuple := tupleOf(args)
		var answer params.CheckRelationResponse
		if err := j.callFor(cmd.Context(), "CheckRelation", params.CheckRelationRequest{Tuple: tuple}, &answer); err != nil {
			return err
		}
		if answer.Error != "" {
			return errors.New(answer.Error)
		}
		verdict := "not allowed"
		if answer.Allowed {
			verdict = "allowed"
		}
		sentence := fmt.Sprintf("access check for %s on resource %s with permission %s is %s", tuple.Object, tuple.TargetObject, tuple.Relation, verdict)
		if err := out.Print(checkResult{tuple, answer.Allowed, verdict}, func(t *Table) { t.Row(sentence) }); err != nil {
			return err
		}
		return no(answer.Allowed)
	}
	return cmd
}

// no is the exit of a question that was answered.
func no(yes bool) error {
	if yes {
		return nil
	}
	return &Exit{Code: ExitNo}
}

func tupleOf(args []string) params.RelationshipTuple {
	return params.RelationshipTuple{Object: args[0], Relation: args[1], TargetObject: args[2]}
}

// callFor makes one call on a connection of its own.
func (j *JAAS) callFor(ctx context.Context, method string, request, result any) error {
	conn, err := j.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.call(ctx, method, request, result)
}

func (j *JAAS) permissions() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "permissions",
		Aliases: []string{"list-permissions"},
		Short:   "List who was given what",
		Long: `List who was given what: all, or what --object, --relation and --target name. These
are what add-permission wrote, and what JAAS wrote itself: owners, and which
controller a cloud or model belongs to. What follows from them is not listed;
check-permission and explain-permission tell that. Needs an administrator of JAAS.

--target may be a kind alone, such as model, and has to be there with the others.
What is gone keeps its UUID in the list, and is named after it.`,
		Example: `  jaas permissions --target model-alice@example.com/staging
  jaas permissions --object group-dev#member --target cloud
  jaas permissions --relation member --target group-dev --format json`,
		Args:              Arguments(),
		ValidArgsFunction: j.complete(),
	}
	out := j.NewOutput(cmd, "tabular", "yaml", "json")
	var filter params.RelationshipTuple
	cmd.Flags().StringVar(&filter.Object, "object", "", "only what this `OBJECT` was given")
	cmd.Flags().StringVar(&filter.Relation, "relation", "", "only this `RELATION`")
	cmd.Flags().StringVar(&filter.TargetObject, "target", "", "only what was given of this `TARGET`, or kind of target")
	// The errors would be that there are no such flags.
	_ = cmd.RegisterFlagCompletionFunc("object", j.completeObject)
	_ = cmd.RegisterFlagCompletionFunc("target", j.completeTarget)
	j.completeFlag(cmd, "relation", completeRelations)
	resolve := cmd.Flags().Bool("resolve", true, "show names in place of UUIDs")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if filter.TargetObject == "" && (filter.Object != "" || filter.Relation != "") {
			return UsageError("--object and --relation need --target: a target, or a kind such as model")
		}
		conn, err := j.connect(cmd.Context())
		if err != nil {
			return err
		}
		defer conn.Close()
		list := params.ListRelationshipTuplesResponse{Tuples: []params.RelationshipTuple{}}
		request := params.ListRelationshipTuplesRequest{Tuple: filter, PageSize: 100, ResolveUUIDs: *resolve}
		for {
			var page params.ListRelationshipTuplesResponse
			if err := conn.call(cmd.Context(), "ListRelationshipTuples", request, &page); err != nil {
				return err
			}
			list.Tuples, list.Errors = append(list.Tuples, page.Tuples...), append(list.Errors, page.Errors...)
			if request.ContinuationToken = page.ContinuationToken; request.ContinuationToken == "" {
				break
			}
		}
		if len(list.Tuples) == 0 && out.Tabular() {
			j.hint("No permissions.")
			return nil
		}
		err = out.Print(list, func(t *Table) {
			t.Row("Object", "Relation", "Target")
			for _, r := range list.Tuples {
				t.Row(r.Object, r.Relation, r.TargetObject)
			}
		})
		if out.Tabular() {
			for _, text := range list.Errors {
				j.hint("%s", text)
			}
		}
		return err
	}
	return cmd
}

func (j *JAAS) explainPermission() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain-permission OBJECT RELATION TARGET",
		Short: "Say why somebody may do something, or what would let them",
		Long: `Say why somebody may do something, as a tree from the target to them, or what would
let them, the nearest first. The exit code is 0 if they may, 7 if not. Who may ask
is as for check-permission. In place of user-alice@example.com, alice@example.com
does.

` + tagGrammar,
		Example: `  jaas explain-permission alice@example.com writer model-bob@example.com/staging
  jaas explain-permission group-dev#member administrator cloud-aws --format yaml`,
		Args:              Arguments("OBJECT", "RELATION", "TARGET"),
		ValidArgsFunction: j.completePermission,
	}
	out := j.NewOutput(cmd, "smart", "yaml", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		tuple := tupleOf(args)
		if strings.Contains(tuple.Object, "@") && !strings.Contains(tuple.Object, "#") {
			tag, err := userTag(tuple.Object)
			if err != nil {
				return err
			}
			tuple.Object = tag
		}
		var answer jimmapi.Explanation
		if err := j.callFor(cmd.Context(), "ExplainRelation", jimmapi.ExplainRelationRequest{Tuple: tuple}, &answer); err != nil {
			return err
		}
		err := out.Print(answer, func(t *Table) {
			for _, line := range j.drawExplanation(answer) {
				t.Row(line)
			}
		})
		if err != nil {
			return err
		}
		return no(answer.Allowed)
	}
	return cmd
}

// twig is a step in the tree of an explanation, with those that lead to it.
type twig struct {
	text string
	from []*twig
}

// drawExplanation draws why it is so, from the target to the object.
func (j *JAAS) drawExplanation(ex jimmapi.Explanation) []string {
	var lines []string
	line := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	verdict := "is not"
	if ex.Allowed {
		verdict = "is"
	}
	line("%s %s %s of %s", ex.Tuple.Object, verdict, ex.Tuple.Relation, ex.Tuple.TargetObject)
	if ex.Allowed {
		root := &twig{}
		for _, path := range ex.Paths {
			root.grow(path)
		}
		lines = root.draw(lines, "")
		if ex.Incomplete {
			line("There may be more ways.")
		}
		return lines
	}
	line("Any one of these would change that, the nearest first:")
	for _, grant := range ex.Grants {
		t := grant.Tuple
		if group, ok := strings.CutPrefix(t.TargetObject, "idpgroup-"); ok {
			line("  at the identity provider: put %s into the group %s", t.Object, group)
		} else {
			line("  %s", j.spell(fmt.Sprintf("jaas add-permission %s %s %s", quoted(t.Object), t.Relation, quoted(t.TargetObject))))
		}
		for i, step := range grant.Path {
			if i > 0 {
				line("      since %s", sentence(step))
			}
		}
	}
	if ex.Incomplete {
		line("There may be more.")
	}
	return lines
}

// grow adds a path, beginning at its end: the target.
func (t *twig) grow(path []jimmapi.Step) {
	for i := len(path) - 1; i >= 0; i-- {
		text := sentence(path[i])
		var next *twig
		for _, known := range t.from {
			if known.text == text {
				next = known
			}
		}
		if next == nil {
			next = &twig{text: text}
			t.from = append(t.from, next)
		}
		t = next
	}
}

func (t *twig) draw(lines []string, indent string) []string {
	for i, next := range t.from {
		corner, below := "├─ ", "│  "
		if i == len(t.from)-1 {
			corner, below = "└─ ", "   "
		}
		lines = next.draw(append(lines, indent+corner+next.text), indent+below)
	}
	return lines
}

// sentence says a step in words.
func sentence(s jimmapi.Step) string {
	who, relation, _ := strings.Cut(s.Object, "#")
	if strings.HasPrefix(who, "idpgroup-") && strings.HasSuffix(s.Object, "#member") {
		who, relation = strings.TrimSuffix(s.Object, "#member"), "member"
	}
	switch s.Kind {
	case "implied":
		return fmt.Sprintf("every %s of %s is %s", relation, s.TargetObject, s.Relation)
	case "inherited":
		return fmt.Sprintf("every %s of %s is %s of %s, which belongs to it", relation, who, s.Relation, s.TargetObject)
	case "login":
		return fmt.Sprintf("%s is %s of %s, says the identity provider", s.Object, s.Relation, s.TargetObject)
	}
	if relation != "" {
		return fmt.Sprintf("every %s of %s is %s of %s", relation, who, s.Relation, s.TargetObject)
	}
	if s.Object == "user-everyone@external" {
		return fmt.Sprintf("everyone is %s of %s", s.Relation, s.TargetObject)
	}
	return fmt.Sprintf("%s is %s of %s", s.Object, s.Relation, s.TargetObject)
}

// quoted is a word as a shell takes it.
func quoted(word string) string {
	if strings.ContainsAny(word, " '\"$&|;<>()*?\\`!~") || strings.HasPrefix(word, "#") {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}
