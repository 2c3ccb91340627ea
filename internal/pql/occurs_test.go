package pql_test

import (
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/pql"
	"github.com/lakeward/lakeward/internal/vector"
)

// pql.md 5: each form of occurs, at its borders. now is 2025-11-26T12:00Z, a Wednesday.
func TestOccurs(t *testing.T) {
	for _, test := range []struct {
		form     string
		in, out_ []string
	}{
		{"<= 7 days before now", []string{"2025-11-19T12:00:00Z", "2025-11-26T12:00:00Z"}, []string{"2025-11-19T11:59:59.999Z", "2025-11-26T12:00:00.001Z"}},
		{"< 7 days before now", []string{"2025-11-19T12:00:00.001Z", "2025-11-26T12:00:00Z"}, []string{"2025-11-19T12:00:00Z"}},
		{"> 7 days before now", []string{"2025-11-19T11:59:59.999Z"}, []string{"2025-11-19T12:00:00Z", "2025-11-26T13:00:00Z"}},
		{">= 7 days before now", []string{"2025-11-19T12:00:00Z"}, []string{"2025-11-19T12:00:00.001Z"}},
		{"= 3 hours before now", []string{"2025-11-26T09:00:00Z", "2025-11-26T09:59:59.999Z"}, []string{"2025-11-26T08:59:59.999Z", "2025-11-26T10:00:00Z"}},
		{"!= 3 hours before now", []string{"2025-11-26T10:00:00Z"}, []string{"2025-11-26T09:30:00Z"}},
		{"= 3 days before today", []string{"2025-11-23T00:00:00Z", "2025-11-23T23:59:59.999Z"}, []string{"2025-11-22T23:59:59.999Z", "2025-11-24T00:00:00Z"}},
		{"<= 24 hours after now", []string{"2025-11-26T12:00:00Z", "2025-11-27T12:00:00Z"}, []string{"2025-11-26T11:59:59Z", "2025-11-27T12:00:00.001Z"}},
		{"<= 2 days from now", []string{"2025-11-24T12:00:00Z", "2025-11-28T12:00:00Z"}, []string{"2025-11-24T11:59:59Z", "2025-11-28T12:00:01Z"}},
		{"> 2 days from now", []string{"2025-11-24T11:59:59Z", "2025-11-28T12:00:01Z"}, []string{"2025-11-26T12:00:00Z"}},
		{"before today", []string{"2025-11-25T23:59:59.999Z"}, []string{"2025-11-26T00:00:00Z"}},
		{"after today", []string{"2025-11-26T00:00:00.001Z"}, []string{"2025-11-26T00:00:00Z"}},
		{"from today", []string{"2025-11-26T00:00:00Z"}, []string{"2025-11-25T23:59:59.999Z"}},
		{"before last week", []string{"2025-11-16T23:59:59.999Z"}, []string{"2025-11-17T00:00:00Z"}},
		{"after last week", []string{"2025-11-24T00:00:00Z"}, []string{"2025-11-23T23:59:59.999Z"}},
		{"this week", []string{"2025-11-24T00:00:00Z", "2025-11-30T23:59:59.999Z"}, []string{"2025-11-23T23:59:59.999Z", "2025-12-01T00:00:00Z"}},
		{"last month", []string{"2025-10-01T00:00:00Z", "2025-10-31T23:59:59.999Z"}, []string{"2025-09-30T23:59:59Z", "2025-11-01T00:00:00Z"}},
		{"this year", []string{"2025-01-01T00:00:00Z"}, []string{"2024-12-31T23:59:59Z", "2026-01-01T00:00:00Z"}},
		{"this decade", []string{"2020-01-01T00:00:00Z", "2029-12-31T23:59:59Z"}, []string{"2019-12-31T23:59:59Z", "2030-01-01T00:00:00Z"}},
		{"on date(2025, 11, 20)", []string{"2025-11-20T00:00:00Z", "2025-11-20T23:59:59.999Z"}, []string{"2025-11-21T00:00:00Z"}},
		{`on "2025-11-20T08:00:00Z"`, []string{"2025-11-20T08:00:00Z"}, []string{"2025-11-20T08:00:00.001Z"}},
		{"yesterday", []string{"2025-11-25T00:00:00Z"}, []string{"2025-11-26T00:00:00Z"}},
		{"between date(2015, 1, 8) and date(2017, 7, 1)", []string{"2015-01-08T00:00:00Z", "2017-07-01T23:59:59.999Z"}, []string{"2015-01-07T23:59:59Z", "2017-07-02T00:00:00Z"}},
		{"between yesterday and now", []string{"2025-11-25T00:00:00Z", "2025-11-26T12:00:00Z"}, []string{"2025-11-26T12:00:00.001Z"}},
		{"<= 1 month before \"2025-03-31T00:00:00Z\"", []string{"2025-02-28T00:00:00Z"}, []string{"2025-02-27T23:59:59Z"}},
		{"<= 1 year before date(2024, 2, 29)", []string{"2023-02-28T00:00:00Z"}, []string{"2023-02-27T23:59:59Z"}},
	} {
		t.Run(test.form, func(t *testing.T) {
			n, err := pql.Parse("at occurs "+test.form, pql.Scope{Union: []lakeward.Leaf{{Path: "at", Type: lakeward.TypeDateTime}}})
			if err != nil {
				t.Fatal(err)
			}
			for i, text := range append(append([]string{}, test.in...), test.out_...) {
				at, err := time.Parse(time.RFC3339Nano, text)
				if err != nil {
					t.Fatal(err)
				}
				c := &vector.Chunk{Len: 1, Columns: make([]vector.Vector, 1)}
				c.Columns[0].Reset(vector.KindOf(lakeward.TypeDateTime))
				c.Columns[0].AppendInt(at.UnixMilli())
				if got, want := filter(n, []string{"at"}).Match(c).Get(0), i < len(test.in); got != want {
					t.Errorf("%s occurs %s: %t", text, test.form, got)
				}
			}
		})
	}
}
