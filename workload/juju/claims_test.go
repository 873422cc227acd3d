package juju

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"jimm/workload/estate"
)

// TestEveryCallIsInTheTable reads the sources: what says which call to make is
// there as a literal, and what makes it on the wire is one function.
func TestEveryCallIsInTheTable(t *testing.T) {
	called := map[string]bool{forcedUpdate: true}
	for _, dir := range parseDirs(t, "..") {
		constants := constantsOf(dir.files)
		for _, file := range dir.files {
			for _, decl := range file.Decls {
				f, _ := decl.(*ast.FuncDecl)
				ast.Inspect(decl, func(n ast.Node) bool {
					switch n := n.(type) {
					case *ast.CompositeLit:
						if name(n.Type) != "estate.Call" && (dir.name != "estate" || name(n.Type) != "Call") {
							break
						}
						fields := map[string]string{}
						for _, e := range n.Elts {
							pair, ok := e.(*ast.KeyValueExpr)
							if !ok {
								t.Errorf("%s: say which field is which", dir.at(n))
								continue
							}
							fields[name(pair.Key)] = text(pair.Value, constants)
						}
						call := fields["Facade"] + "." + fields["Method"]
						if _, ok := needs[call]; !ok {
							t.Errorf("%s: the call %s is not in the table of needs", dir.at(n), call)
						}
						called[call] = true
					case *ast.CallExpr:
						if got := name(n.Fun); got == "rpc.NewClient" && dir.name != "juju" {
							t.Errorf("%s: controllers are called in package juju", dir.at(n))
						} else if (strings.HasSuffix(got, "client.Call") || got == "Client.Call") && (dir.name != "juju" || f.Name.Name != "send") {
							t.Errorf("%s: what is called in this way is not looked up in the table of needs", dir.at(n))
						}
					case *ast.AssignStmt:
						for _, to := range n.Lhs {
							if got := name(to); dir.name == "juju" && (strings.HasSuffix(got, ".Facade") || strings.HasSuffix(got, ".Method")) {
								t.Errorf("%s: say which call it is where it is made", dir.at(n))
							}
						}
					}
					return true
				})
			}
		}
	}
	for _, call := range slices.Sorted(maps.Keys(needs)) {
		if !called[call] {
			t.Errorf("nobody makes the call %s: remove it from the table of needs", call)
		}
		if n := needs[call]; n.access == estate.AccessSuperuser && n.why == "" {
			t.Errorf("the table of needs does not say why %s takes superuser", call)
		}
	}
}

type sources struct {
	name  string
	fset  *token.FileSet
	files []*ast.File
}

func (s sources) at(n ast.Node) token.Position { return s.fset.Position(n.Pos()) }

// parseDirs reads the packages under a folder, without their tests.
func parseDirs(t *testing.T, root string) map[string]*sources {
	t.Helper()
	fset, dirs := token.NewFileSet(), map[string]*sources{}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := filepath.Dir(path)
		if dirs[dir] == nil {
			dirs[dir] = &sources{name: file.Name.Name, fset: fset}
		}
		dirs[dir].files = append(dirs[dir].files, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// constantsOf returns the texts that a package gives names to.
func constantsOf(files []*ast.File) map[string]string {
	constants := map[string]string{}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Names) == len(spec.Values) {
				for i, id := range spec.Names {
					if value := text(spec.Values[i], nil); value != "" {
						constants[id.Name] = value
					}
				}
			}
			return true
		})
	}
	return constants
}

// text returns what a literal or the name of one says.
func text(e ast.Expr, constants map[string]string) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, _ := strconv.Unquote(e.Value)
		return s
	case *ast.Ident:
		return constants[e.Name]
	}
	return ""
}

// name returns the last two parts of a dotted name.
func name(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		of := name(e.X)
		return of[strings.LastIndex(of, ".")+1:] + "." + e.Sel.Name
	}
	return ""
}

func TestACallThatIsNotInTheTableIsNotMade(t *testing.T) {
	c := simulate(t, generations[0], PeersOptions{})
	p := c.connect(t, someone, c.superuser())
	before := c.Faults().Calls("")
	err := p.Call(t.Context(), estate.Call{Facade: "Controller", Method: "ConfigSet"}, nil, nil)
	if err == nil || estate.CodeOf(err) != "" || !strings.Contains(err.Error(), "Controller.ConfigSet") {
		t.Errorf("got %v, code %q", err, estate.CodeOf(err))
	}
	if got := c.Faults().Calls(""); got != before {
		t.Errorf("the controller was called %d times", got-before)
	}
}
