package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lakeward/lakeward"
)

// S08, S09, S15, S30, S31, S33, S50, S51: real input from CSV files to the lake with ordinary commands;
// the delivered rows are those that this test computes from the raw files.
func TestCDNOW(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	shell(t, "sh examples/cdnow/run.sh", repository(t), "LAKEWARD_DATA="+data)

	var runs []lakeward.Run
	if err := json.Unmarshal([]byte(ok(t, "", "run", "list", "--json", "--data", data)), &runs); err != nil || len(runs) != 1 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	var r lakeward.Run
	if err := json.Unmarshal([]byte(ok(t, "", "run", "show", string(runs[0].ID), "--json", "--data", data)), &r); err != nil {
		t.Fatal(err)
	}
	want := loyalCustomers(t)
	got := readCSV(t, filepath.Join(data, "lake", "local", "exports", filepath.FromSlash(r.Files[0].Path)))
	if diff := cmp.Diff([]string{"customer", "first_purchase", "orders", "items", "dollars"}, got[0]); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, got[1:]); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	n := int64(len(want))
	if counts := (lakeward.Counts{Received: n, Activated: n, Rows: n}); r.Counts != counts || n < 1000 {
		t.Errorf("counts %+v, want %+v", r.Counts, counts)
	}
	var datasets []lakeward.Dataset
	if err := json.Unmarshal([]byte(ok(t, "", "dataset", "list", "--json", "--data", data)), &datasets); err != nil {
		t.Fatal(err)
	}
	for _, d := range datasets {
		if want := map[string]int64{"customers": 23570, "purchases": 69659}[d.Name]; d.Rows != want {
			t.Errorf("dataset %s has %d rows, want %d", d.Name, d.Rows, want)
		}
	}
	t.Logf("%d members delivered and compared", n)
}

// loyalCustomers computes the audience from the raw purchases, not from the customers' sums.
func loyalCustomers(t *testing.T) [][]string {
	t.Helper()
	root := repository(t)
	orders, cents := map[string]int{}, map[string]int64{}
	for _, p := range readCSV(t, filepath.Join(root, "testdata", "cdnow", "purchases.csv"))[1:] {
		whole, frac, _ := strings.Cut(p[4], ".")
		c, err := strconv.ParseInt(whole+(frac + "00")[:2], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		orders[p[1]]++
		cents[p[1]] += c
	}
	var out [][]string
	for _, c := range readCSV(t, filepath.Join(root, "testdata", "cdnow", "customers.csv"))[1:] {
		if orders[c[0]] >= 5 && cents[c[0]] > 20000 {
			dollars := strings.TrimSuffix(strconv.FormatInt(cents[c[0]]/100, 10)+"."+strconv.FormatInt(100+cents[c[0]]%100, 10)[1:], "0")
			out = append(out, []string{c[0], c[1], strconv.Itoa(orders[c[0]]), c[3], dollars})
		}
	}
	return out
}

func readCSV(t *testing.T, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}
