package lakeward_test

import (
	"testing"

	"github.com/lakeward/lakeward"
)

// IDN-01: no graph for what is no person and for the ids of partners.
func TestStitchedNamespaces(t *testing.T) {
	for kind, want := range map[lakeward.NamespaceType]bool{lakeward.CookieID: true, lakeward.CrossDevice: true, lakeward.DeviceID: true,
		lakeward.EmailType: true, lakeward.PhoneNumber: true, lakeward.NonPeople: false, lakeward.PartnerID: false} {
		if got := (lakeward.Namespace{Type: kind}).Stitched(); got != want {
			t.Errorf("%s: %v, want %v", kind, got, want)
		}
	}
}

// PRF-02: what a merge policy may be.
func TestMergePolicy(t *testing.T) {
	datasets := []lakeward.Dataset{{ID: "a"}, {ID: "b"}}
	for _, test := range []struct {
		name   string
		change func(p *lakeward.MergePolicy)
		want   string // code, "" if it is fine
	}{
		{"the default", func(*lakeward.MergePolicy) {}, ""},
		{"graph", func(p *lakeward.MergePolicy) { p.Stitching = lakeward.PrivateGraph }, ""},
		{"precedence", func(p *lakeward.MergePolicy) {
			p.Method, p.Datasets = lakeward.DatasetPrecedence, []lakeward.DatasetID{"b", "a"}
		}, ""},
		{"no name", func(p *lakeward.MergePolicy) { p.Name = "" }, "NAME-1001"},
		{"unknown method", func(p *lakeward.MergePolicy) { p.Method = "newest" }, "POLICY-1001"},
		{"unknown stitching", func(p *lakeward.MergePolicy) { p.Stitching = "all" }, "POLICY-1002"},
		{"precedence of nothing", func(p *lakeward.MergePolicy) { p.Method = lakeward.DatasetPrecedence }, "POLICY-1003"},
		{"datasets without precedence", func(p *lakeward.MergePolicy) { p.Datasets = []lakeward.DatasetID{"a"} }, "POLICY-1003"},
		{"a dataset twice", func(p *lakeward.MergePolicy) {
			p.Method, p.Datasets = lakeward.DatasetPrecedence, []lakeward.DatasetID{"a", "a"}
		}, "POLICY-1003"},
		{"a dataset that feeds no profiles", func(p *lakeward.MergePolicy) {
			p.Method, p.Datasets = lakeward.DatasetPrecedence, []lakeward.DatasetID{"c"}
		}, "POLICY-1003"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := lakeward.DefaultMergePolicy("prod")
			test.change(&p)
			if got := lakeward.CodeOf(p.Validate(datasets)); got != test.want {
				t.Errorf("code %q, want %q", got, test.want)
			}
		})
	}
}
