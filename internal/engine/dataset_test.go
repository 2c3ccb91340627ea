package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

func TestDatasetPreviewAndStatistics(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,,Ann,30", "2,,,Bob,-4")
	var rows []string
	for i := range 5000 {
		rows = append(rows, fmt.Sprintf("%d,m%d@x.org,,n%d,%d", i+3, i, i%7, i%500))
	}
	w.upload(rows...)
	header, preview, err := w.PreviewDataset(t.Context(), sandbox, "people", 3)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(header, "|")
	for _, r := range preview {
		text += "\n" + strings.Join(r, "|")
	}
	if want := "id|mail|mail2|name|age\n1|a@x.org||Ann|30\n2|||Bob|-4\n3|m0@x.org||n0|0"; text != want {
		t.Errorf("preview:\n%s", text)
	}
	stats := must[[]engine.FieldStatistics](t)(w.DatasetStatistics(t.Context(), sandbox, "people", nil))
	if d := stats[0].Distinct; d < 4700 || d > 5300 {
		t.Errorf("about 5,002 ids are estimated as %d", d)
	}
	stats[0].Distinct, stats[1].Distinct = 0, 0
	want := []engine.FieldStatistics{
		{Field: "id", Type: "string", Rows: 5002, Min: "1", Max: "999"}, {Field: "mail", Type: "string", Rows: 5002, Nulls: 1, Min: "a@x.org", Max: "m9@x.org"},
		{Field: "mail2", Type: "string", Rows: 5002, Nulls: 5002}, {Field: "name", Type: "string", Rows: 5002, Distinct: 9, Min: "Ann", Max: "n6"},
		{Field: "age", Type: "integer", Rows: 5002, Distinct: 501, Min: "-4", Max: "499"},
	}
	if diff := cmp.Diff(want, stats); diff != "" {
		t.Errorf("statistics (-want +got):\n%s", diff)
	}
}
