package lakeward_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/lakeward/lakeward"

// layers says which packages of ours each package may import; docs/architecture.md draws it.
func layers() map[string][]string {
	domain := []string{".", "internal/proof"}
	columns := []string{".", "internal/vector", "internal/parquet"}
	l := map[string][]string{
		".":                                   {},
		"internal/proof":                      {},
		"internal/checker":                    {"internal/lake/emulator"},
		"internal/vector":                     domain,
		"internal/lake/emulator":              domain,
		"internal/together":                   {"."},
		"internal/compress":                   {".", "internal/together"},
		"internal/encrypt":                    domain,
		"internal/sample":                     domain,
		"internal/lake/emulator/emulatortest": {".", "internal/lake/emulator"},
		"internal/expr":                       {".", "internal/vector"},
		"internal/parquet":                    {".", "internal/vector", "internal/together"},
		"internal/pql":                        {".", "internal/expr"},
		"internal/dataprep":                   {".", "internal/expr"},
		"internal/decode":                     {".", "internal/vector", "internal/parquet", "internal/together"},
		"internal/encode":                     columns,
		"internal/warehouse":                  {".", "internal/vector", "internal/parquet", "internal/together"},
		"internal/lake":                       domain,
		"internal/deliver":                    {".", "internal/lake", "internal/proof"},
		"internal/verify":                     {".", "internal/lake", "internal/deliver", "internal/parquet"},
		"internal/store":                      domain,
	}
	engine := []string{}
	for p := range l {
		if p != "internal/lake/emulator" && p != "internal/lake/emulator/emulatortest" && p != "internal/checker" {
			engine = append(engine, p)
		}
	}
	l["internal/engine"] = engine
	program := []string{"internal/engine"}
	for p := range l {
		if p != "internal/lake/emulator/emulatortest" && p != "internal/checker" {
			program = append(program, p)
		}
	}
	l["cmd/lakeward"] = program
	return l
}

// borders says which packages alone may import a library.
func borders() map[string][]string {
	return map[string][]string{
		"github.com/Azure/":           {"internal/lake"},
		"modernc.org/sqlite":          {"internal/store"},
		"database/sql":                {"internal/store"},
		"github.com/pressly/goose":    {"internal/store"},
		"github.com/parquet-go/":      {"internal/parquet"},
		"github.com/ProtonMail/":      {"internal/encrypt"},
		"golang.org/x/crypto/openpgp": {}, // unmaintained (C11)
		"github.com/RoaringBitmap/":   {"internal/warehouse", "internal/engine"},
		"github.com/spf13/cobra":      {"cmd/lakeward"},
		"github.com/goccy/go-yaml":    {"cmd/lakeward"},
	}
}

// TestLayers keeps the import arrows pointing down. It parses the files itself: go test would cache
// the result of a "go list".
func TestLayers(t *testing.T) {
	allowed := layers()
	seen := map[string]bool{}
	each(t, func(file, pkg string, imports []string) {
		may, known := allowed[pkg]
		if !known {
			t.Errorf("%s is in no layer: add its folder here and to docs/architecture.md", file)
		}
		seen[pkg] = true
		for _, imp := range imports {
			if to, ours := strings.CutPrefix(imp, module); ours {
				if to = path.Clean("." + to); !slices.Contains(may, strings.TrimPrefix(to, "./")) {
					t.Errorf("%s imports %s, which is not below it", file, imp)
				}
				continue
			}
			for prefix, only := range borders() {
				if strings.HasPrefix(imp, prefix) && !slices.Contains(only, pkg) {
					t.Errorf("%s imports %s; only %v may", file, imp, only)
				}
			}
		}
		if pkg == "." {
			for _, imp := range imports {
				if strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") {
					t.Errorf("%s imports %s; the domain imports the standard library only", file, imp)
				}
			}
		}
	})
	for pkg := range allowed {
		if !seen[pkg] {
			t.Errorf("layer %s has no package", pkg)
		}
	}
}

// each calls fn for every Go file of ours that is no test.
func each(t *testing.T, fn func(file, pkg string, imports []string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		var imports []string
		for _, imp := range f.Imports {
			imports = append(imports, strings.Trim(imp.Path.Value, `"`))
		}
		fn(file, path.Dir(filepath.ToSlash(file)), imports)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestHouseRules keeps what the style asks of every file: no init, no mutable package variable, no
// look at the environment outside the program.
func TestHouseRules(t *testing.T) {
	each(t, func(file, pkg string, _ []string) {
		src, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range houseProblems(src, pkg) {
			t.Errorf("%s: %s", file, problem)
		}
	})
}
