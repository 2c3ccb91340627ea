package lakeward_test

import (
	"go/ast"
	"go/token"
)

// houseProblems lists what a file does that the style forbids.
func houseProblems(f *ast.File, pkg string) []string {
	var out []string
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.Name == "init" && d.Recv == nil {
				out = append(out, "it has an init function")
			}
		case *ast.GenDecl:
			if d.Tok == token.VAR {
				out = append(out, packageVariables(d, pkg)...)
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := call.X.(*ast.Ident); ok && x.Name == "os" && (call.Sel.Name == "Getenv" || call.Sel.Name == "LookupEnv") && pkg != "cmd/lakeward" && pkg != "internal/proof" {
			out = append(out, "it reads the environment")
		}
		return true
	})
	return out
}

// packageVariables accepts sentinel errors, embedded files, interface checks and the version.
func packageVariables(d *ast.GenDecl, pkg string) []string {
	var out []string
	for _, s := range d.Specs {
		v := s.(*ast.ValueSpec)
		name := v.Names[0].Name
		fine := name == "_" || d.Doc != nil && len(d.Doc.List) > 0 && hasEmbed(d) || name == "version" && pkg == "cmd/lakeward" || len(name) > 3 && name[:3] == "err"
		if !fine {
			out = append(out, "it has the package variable "+name)
		}
	}
	return out
}

func hasEmbed(d *ast.GenDecl) bool {
	for _, c := range d.Doc.List {
		if len(c.Text) > 10 && c.Text[:10] == "//go:embed" {
			return true
		}
	}
	return false
}
