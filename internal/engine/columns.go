package engine

import (
	"slices"
	"strings"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/pql"
)

// eventsPath is what rules call the events of a profile.
const eventsPath = "xEvent"

// choose notes which fields of profiles and events the rules look at, so that nothing else is read, and returns the
// paths of the columns that they get: those of profiles, then the events.
func (j *job) choose(scope pql.Scope) (paths []string) {
	used := uses{}
	for _, r := range j.rules {
		for _, path := range r.node.Uses() {
			used[path] = true
		}
	}
	for _, l := range scope.Union {
		switch {
		case !used[l.Path]:
		case l.Path == identityMapPath || l.Path == membershipPath:
			j.beside = append(j.beside, l.Path)
		default:
			j.fields, paths = append(j.fields, used.leaf(l, l.Path)), append(paths, l.Path)
		}
	}
	if used[eventsPath] {
		j.beside = append(j.beside, eventsPath)
	}
	for _, l := range scope.Events {
		if path := eventsPath + "." + l.Path; used[path] || used.whole(path) {
			j.events = append(j.events, used.leaf(l, path))
		}
	}
	return append(paths, j.beside...)
}

// uses are the paths that rules look at; one that ends in .* stands for all below it.
type uses map[string]bool

// whole reports whether everything below an object around a path is looked at.
func (u uses) whole(path string) bool {
	for at := path; at != ""; {
		if u[at+".*"] {
			return true
		}
		i := strings.LastIndexByte(at, '.')
		at = at[:max(i, 0)]
	}
	return false
}

// leaf is a field with only those fields inside that are looked at; maps stay whole.
func (u uses) leaf(l lakeward.Leaf, path string) lakeward.Leaf {
	if l.Type == lakeward.TypeArray && !u.whole(path) {
		item := u.item(*l.Item, path)
		l.Item = &item
	}
	return l
}

// item is what is looked at of the items of an array at a path.
func (u uses) item(f lakeward.Field, path string) lakeward.Field {
	switch f.Type {
	case lakeward.TypeArray:
		below := u.item(*f.Item, path)
		f.Item = &below
	case lakeward.TypeObject:
		var kept []lakeward.Field
		for _, b := range f.Fields {
			at := path + "." + b.Name
			if u.below(at) {
				kept = append(kept, u.item(b, at))
			}
		}
		f.Fields = slices.Clip(kept)
	}
	return f
}

// below reports whether a path or something below it is looked at.
func (u uses) below(path string) bool {
	if u[path] {
		return true
	}
	for used := range u {
		if strings.HasPrefix(used, path+".") {
			return true
		}
	}
	return false
}
