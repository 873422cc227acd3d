package bundle

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/juju/charm/v12"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

var update = flag.Bool("update", false, "format the Terraform files, and make what is generated in them anew")

// module is a folder of Terraform files.
type module struct {
	dir string
	// blocks are by their type and labels: "variable units".
	blocks map[string]*hclsyntax.Block
	locals map[string]hclsyntax.Expression
}

func TestTerraformFilesAreFormatted(t *testing.T) {
	for _, file := range terraformFiles(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		formatted := hclwrite.Format(text)
		if bytes.Equal(text, formatted) {
			continue
		}
		if !*update {
			t.Errorf("%s is not formatted as terraform fmt does; go test ./bundle -update formats it", file)
			continue
		}
		if err := os.WriteFile(file, formatted, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// optionsMark is where the charm's options are in the variable jimm_config.
const optionsBegin, optionsEnd = "  type = object({\n    # The charm's options, made by go test ./bundle -update.\n", "  })\n  default = {}\n}\n"

func TestTerraformKnowsEveryOptionOfTheCharm(t *testing.T) {
	file := filepath.FromSlash("terraform/modules/jimm/variables.tf")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), optionsBegin)
	if !ok {
		t.Fatalf("%s has no place for the charm's options", file)
	}
	_, after, ok := strings.Cut(rest, optionsEnd)
	if !ok {
		t.Fatalf("%s has no end of the charm's options", file)
	}
	f, err := os.Open(filepath.Join("..", "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	config, err := charm.ReadConfig(f)
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]string{"string": "string", "secret": "string", "int": "number", "float": "number", "boolean": "bool"}
	var options strings.Builder
	for _, name := range slices.Sorted(maps.Keys(config.Options)) {
		fmt.Fprintf(&options, "    %s = optional(%s)\n", strings.ReplaceAll(name, "-", "_"), types[config.Options[name].Type])
	}
	want := string(hclwrite.Format([]byte(before + optionsBegin + options.String() + optionsEnd + after)))
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("%s (-want +got); go test ./bundle -update mends it:\n%s", file, diff)
	}
}

func TestTerraformReferencesResolve(t *testing.T) {
	modules := terraformModules(t)
	for dir, m := range modules {
		for _, b := range m.blocks {
			for _, traversal := range traversals(b.Body) {
				if problem := m.resolve(traversal, modules); problem != "" {
					t.Errorf("%s: %s: %s", dir, traversal.SourceRange(), problem)
				}
			}
		}
		for name, expression := range m.locals {
			for _, traversal := range expression.Variables() {
				if problem := m.resolve(traversal, modules); problem != "" {
					t.Errorf("%s: local.%s: %s", dir, name, problem)
				}
			}
		}
	}
}

func TestTerraformModulesAreCalledWithWhatTheyTake(t *testing.T) {
	modules := terraformModules(t)
	for dir, m := range modules {
		for name, b := range m.blocks {
			if b.Type != "module" {
				continue
			}
			called := modules[m.source(b)]
			if called == nil {
				t.Errorf("%s: %s: there is no module %s", dir, name, m.source(b))
				continue
			}
			for argument := range b.Body.Attributes {
				if argument != "source" && argument != "count" && called.blocks["variable "+argument] == nil {
					t.Errorf("%s: %s takes no %s", dir, name, argument)
				}
			}
			for variable, v := range called.blocks {
				if v.Type == "variable" && v.Body.Attributes["default"] == nil && b.Body.Attributes[v.Labels[0]] == nil {
					t.Errorf("%s: %s is called without its %s", dir, name, variable)
				}
			}
		}
	}
}

func TestTerraformVariablesAndOutputsAreExplained(t *testing.T) {
	for dir, m := range terraformModules(t) {
		for name, b := range m.blocks {
			if b.Type != "variable" && b.Type != "output" {
				continue
			}
			if b.Body.Attributes["description"] == nil {
				t.Errorf("%s: %s has no description", dir, name)
			}
			if b.Type == "variable" && b.Body.Attributes["type"] == nil {
				t.Errorf("%s: %s has no type", dir, name)
			}
		}
	}
}

// deployed is what the bundle and Terraform must agree on.
type deployed struct {
	Charm, Channel, Base string
	Trust                bool
}

func TestTerraformDeploysWhatTheBundleDoes(t *testing.T) {
	b := merge(t, checkout(t), []string{"cos"})
	want := map[string]deployed{}
	for name, app := range b.Applications {
		if name == "jimm" {
			continue // its charm is local in the bundle and published for Terraform
		}
		want[name] = deployed{app.Charm, app.Channel, strings.TrimSuffix(app.Base, "/stable"), app.RequiresTrust}
	}
	// Each has one name in the bundle.
	want["traefik"] = want["traefik-public"]
	delete(want, "traefik-public")
	got := map[string]deployed{}
	for _, m := range terraformModules(t) {
		for _, block := range m.blocks {
			if block.Type != "resource" || block.Labels[0] != "juju_application" || block.Labels[1] == "jimm" {
				continue
			}
			ctx := m.context(t)
			var d deployed
			for _, inner := range block.Body.Blocks {
				if inner.Type == "charm" {
					d.Charm = text(t, ctx, inner.Body.Attributes["name"])
					d.Channel = text(t, ctx, inner.Body.Attributes["channel"])
					d.Base = text(t, ctx, inner.Body.Attributes["base"])
				}
			}
			if trust := block.Body.Attributes["trust"]; trust != nil {
				v, diags := trust.Expr.Value(ctx)
				if diags.HasErrors() {
					t.Fatal(diags)
				}
				d.Trust = v.True()
			}
			got[text(t, ctx, block.Body.Attributes["name"])] = d
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("applications of the bundle and of Terraform (-bundle +terraform):\n%s", diff)
	}
}

func text(t *testing.T, ctx *hcl.EvalContext, a *hclsyntax.Attribute) string {
	t.Helper()
	if a == nil {
		return ""
	}
	v, diags := a.Expr.Value(ctx)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return v.AsString()
}

// context evaluates expressions with the defaults of the module's variables.
func (m *module) context(t *testing.T) *hcl.EvalContext {
	t.Helper()
	values := map[string]cty.Value{}
	for _, b := range m.blocks {
		if b.Type != "variable" || b.Body.Attributes["default"] == nil {
			continue
		}
		v, diags := b.Body.Attributes["default"].Expr.Value(nil)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		want, defaults, diags := typeexpr.TypeConstraintWithDefaults(b.Body.Attributes["type"].Expr)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		if defaults != nil && !v.IsNull() {
			v = defaults.Apply(v)
		}
		v, err := convert.Convert(v, want)
		if err != nil {
			t.Fatalf("%s: default of %s: %v", m.dir, b.Labels[0], err)
		}
		values[b.Labels[0]] = v
	}
	return &hcl.EvalContext{
		Variables: map[string]cty.Value{"var": cty.ObjectVal(values)},
		Functions: map[string]function.Function{"merge": stdlib.MergeFunc},
	}
}

// source is the folder that a module block calls.
func (m *module) source(b *hclsyntax.Block) string {
	v, diags := b.Body.Attributes["source"].Expr.Value(nil)
	if diags.HasErrors() {
		return ""
	}
	return path.Join(m.dir, v.AsString())
}

// resolve says what is wrong with a reference, or nothing.
func (m *module) resolve(t hcl.Traversal, modules map[string]*module) string {
	step := func(i int) string {
		if i < len(t) {
			if a, ok := t[i].(hcl.TraverseAttr); ok {
				return a.Name
			}
		}
		return ""
	}
	has := func(block string) string {
		if m.blocks[block] == nil {
			return "there is no " + block
		}
		return ""
	}
	switch root := t.RootName(); root {
	case "var":
		return has("variable " + step(1))
	case "local":
		if m.locals[step(1)] == nil {
			return "there is no local " + step(1)
		}
	case "each", "count", "path":
	case "module":
		if problem := has("module " + step(1)); problem != "" {
			return problem
		}
		called := modules[m.source(m.blocks["module "+step(1)])]
		if called != nil && called.blocks["output "+step(2)] == nil {
			return fmt.Sprintf("module %s has no output %s", step(1), step(2))
		}
	default:
		if strings.HasPrefix(root, "juju_") {
			return has("resource " + root + " " + step(1))
		}
		return "nothing is called " + root
	}
	return ""
}

// traversals are the references of a block. Names that for expressions and type
// constraints bring themselves are left out.
func traversals(body *hclsyntax.Body) []hcl.Traversal {
	var all []hcl.Traversal
	for name, a := range body.Attributes {
		if name != "type" {
			all = append(all, a.Expr.Variables()...)
		}
	}
	for _, b := range body.Blocks {
		if b.Type != "required_providers" {
			all = append(all, traversals(b.Body)...)
		}
	}
	return all
}

func terraformFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir("terraform", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".tf" {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("no Terraform files: %v", err)
	}
	return files
}

func terraformModules(t *testing.T) map[string]*module {
	t.Helper()
	modules := map[string]*module{}
	for _, file := range terraformFiles(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parsed, diags := hclsyntax.ParseConfig(text, file, hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		dir := filepath.ToSlash(filepath.Dir(file))
		m := modules[dir]
		if m == nil {
			m = &module{dir: dir, blocks: map[string]*hclsyntax.Block{}, locals: map[string]hclsyntax.Expression{}}
			modules[dir] = m
		}
		for _, b := range parsed.Body.(*hclsyntax.Body).Blocks {
			if b.Type == "locals" {
				for name, a := range b.Body.Attributes {
					m.locals[name] = a.Expr
				}
				continue
			}
			key := strings.Join(append([]string{b.Type}, b.Labels...), " ")
			if m.blocks[key] != nil {
				t.Fatalf("%s: %s is there twice", dir, key)
			}
			m.blocks[key] = b
		}
	}
	return modules
}
