package crash

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"jimm/workload/estate"
)

// snapshot is all there is, a line each: rows, secrets, tuples, what controllers have, and
// what the administrator sees.
func (w *world) snapshot() []string {
	w.t.Helper()
	ctx := w.t.Context()
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, query := range []string{
		`select 'row: controller ' || name || ' ' || uuid || ' ' || state from controllers`,
		`select 'row: cloud ' || name from clouds`,
		`select 'row: region ' || cloud || '/' || region || ' of ' || controller_uuid from region_controllers`,
		`select 'row: credential ' || cloud || '/' || owner || '/' || name from credentials`,
		`select 'row: model ' || name || ' ' || coalesce(uuid, 'without uuid') || ' ' || state || ' on ' || controller_uuid from models`,
		`select 'secret: ' || path from secrets`,
	} {
		rows, err := w.unit.store.Pool().Query(ctx, query)
		if err != nil {
			w.t.Fatal(err)
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			w.t.Fatal(err)
		}
		lines = append(lines, found...)
	}
	next := ""
	for {
		page, more, err := w.unit.Estate.Permissions.Read(ctx, estate.TupleFilter{}, 100, next)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, tuple := range page {
			add("tuple: %s", tuple)
		}
		if next = more; next == "" {
			break
		}
	}
	for _, c := range append(slices.Clone(w.controllers), w.extra) {
		for _, uuid := range c.ModelUUIDs() {
			add("on %s: model %s", c.Name(), uuid)
		}
	}
	summaries, err := w.unit.Estate.ModelSummaries(ctx, admin)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range summaries {
		add("listed: %s %s %s", s.Name, s.UUID, s.Life)
	}
	slices.Sort(lines)
	return lines
}

// after is what must be there when a write is done that began with what was there before.
// It can find out UUIDs only when it is done.
func (w *world) after(o operation, before []string) []string {
	w.t.Helper()
	var added []string
	gone := func(string) bool { return false }
	switch {
	case o.CreateModel != nil:
		added = w.createdModel(o.CreateModel)
	case o.DestroyModel != "":
		gone = func(line string) bool { return strings.Contains(line, o.DestroyModel) }
	case o.AddController != nil:
		added = addedController(w.settings.UUID, o.AddController.Name, o.AddController.UUID)
	case o.RemoveController != "":
		// The models go on running there.
		var theirs []string
		for _, line := range before {
			if model, ok := strings.CutSuffix(line, " on "+w.extra.UUID()); ok {
				theirs = append(theirs, strings.Fields(model)[3])
			}
		}
		gone = func(line string) bool {
			if strings.HasPrefix(line, "on ") {
				return false
			}
			return strings.Contains(line, w.extra.UUID()) || strings.Contains(line, "extra-cloud") ||
				slices.ContainsFunc(theirs, func(uuid string) bool { return strings.Contains(line, uuid) })
		}
	}
	lines := append(slices.DeleteFunc(slices.Clone(before), gone), added...)
	slices.Sort(lines)
	return lines
}

// createdModel are the lines of a model; it must be on exactly one controller.
func (w *world) createdModel(args *estate.CreateModelArgs) []string {
	before := map[string]bool{}
	known, err := w.unit.store.Models(w.t.Context(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range known {
		if m.Name != args.Name {
			before[m.UUID] = true
		}
	}
	for _, c := range w.controllers {
		for _, uuid := range c.ModelUUIDs() {
			if before[uuid] {
				continue
			}
			return []string{
				fmt.Sprintf("row: model %s %s live on %s", args.Name, uuid, c.UUID()),
				fmt.Sprintf("tuple: controller:%s controller model:%s", c.UUID(), uuid),
				fmt.Sprintf("tuple: user:%s administrator model:%s", admin.Name, uuid),
				fmt.Sprintf("on %s: model %s", c.Name(), uuid),
				fmt.Sprintf("listed: %s %s alive", args.Name, uuid),
			}
		}
	}
	return []string{"a model " + args.Name + " on a controller"}
}

func addedController(jimm, name, uuid string) []string {
	return []string{
		fmt.Sprintf("row: controller %s %s live", name, uuid),
		"row: cloud extra-cloud",
		fmt.Sprintf("row: region extra-cloud/default of %s", uuid),
		fmt.Sprintf("secret: controllers/%s", uuid),
		fmt.Sprintf("tuple: controller:%s controller controller:%s", jimm, uuid),
		fmt.Sprintf("tuple: user:* can_addmodel controller:%s", uuid),
		fmt.Sprintf("tuple: controller:%s controller cloud:extra-cloud", uuid),
		"tuple: user:* can_addmodel cloud:extra-cloud",
	}
}

// difference shows what is missing and what is too much.
func difference(got, want []string) string {
	var b strings.Builder
	for _, line := range want {
		if !slices.Contains(got, line) {
			fmt.Fprintf(&b, "missing   %s\n", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			fmt.Fprintf(&b, "too much  %s\n", line)
		}
	}
	return b.String()
}
