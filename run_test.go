package lakeward_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
)

// DLV-11: the test vectors of the run id.
func TestRunID(t *testing.T) {
	const flow = "7b891e5f-025a-4f0d-9e73-1919e71da3b0"
	for _, test := range []struct{ item, slot, want string }{
		{"ce5c5482-2813-4a80-99bc-57113f6acde2", "at:2025-01-04T06:00:00Z", "41e058ce-5361-8951-952d-563b6983599a"},
		{"ce5c5482-2813-4a80-99bc-57113f6acde2", "at:2025-01-04T06:00:00Z#2", "0cb7d00f-1aaa-85a3-8395-155a7031459b"},
		{"ce5c5482-2813-4a80-99bc-57113f6acde2", "manual:a1", "b27f89f7-d8a9-82c6-b7bd-8fa9aa207af5"},
		{"datasets", "at:2025-01-04T06:00:00Z", "91460e69-c9ce-8c55-9093-0359f9939a6d"},
	} {
		if got := lakeward.NewRunID(flow, test.item, test.slot); string(got) != test.want {
			t.Errorf("NewRunID(%s, %s) = %s, want %s", test.item, test.slot, got, test.want)
		}
	}
	if got := lakeward.ScheduledSlot(time.Date(2025, 1, 4, 7, 0, 0, 999, time.FixedZone("", 3600))); got != "at:2025-01-04T06:00:00Z" {
		t.Errorf("ScheduledSlot = %s", got)
	}
}

// DLV-33: the legal transitions, all others are refused.
func TestTransitions(t *testing.T) {
	legal := map[string]string{
		"queued": "running cancelling skipped", "running": "queued retrying cancelling blocked succeeded failed cancelled skipped",
		"retrying": "queued cancelling failed", "cancelling": "cancelled queued", "blocked": "queued failed", "failed": "queued",
		"succeeded": "", "cancelled": "", "skipped": "",
	}
	for from, to := range legal {
		for next := range legal {
			want := strings.Contains(" "+to+" ", " "+next+" ")
			got, err := lakeward.RunState(from).To(lakeward.RunState(next))
			if (err == nil) != want || err != nil && (got != lakeward.RunState(from) || lakeward.CodeOf(err) != "RUN-1001") {
				t.Errorf("%s to %s: %s, %v, want legal = %t", from, next, got, err, want)
			}
		}
	}
}

// INV-15, MON-08: the books.
func TestBalance(t *testing.T) {
	for _, test := range []struct {
		name   string
		counts lakeward.Counts
		rows   int64
		ok     bool
	}{
		{"nothing", lakeward.Counts{}, 0, true},
		{"E-9", lakeward.Counts{Received: 100, Activated: 80, ExcludedMandatory: 20, Rows: 80}, 80, true},
		{"every way out", lakeward.Counts{Received: 15, Activated: 5, ExcludedMandatory: 1, ExcludedIdentity: 2, ExcludedConsent: 3, Failed: 0, Deduplicated: 4, Rows: 9}, 9, true},
		{"a profile lost", lakeward.Counts{Received: 2, Activated: 1, Rows: 1}, 1, false},
		{"a row lost", lakeward.Counts{Received: 1, Activated: 1, Rows: 1}, 2, false},
	} {
		if err := test.counts.Balance(test.rows); (err == nil) != test.ok {
			t.Errorf("%s: %v, want ok = %t", test.name, err, test.ok)
		}
	}
}

// S34 to S40, MFT-02 to MFT-06: name and bytes of the manifest.
func TestManifest(t *testing.T) {
	const run = "0ac8f3c0-29bd-40aa-82c1-f1b7e0657b19"
	if got, want := lakeward.ManifestName("d0420d72-756c-4159-9e7f-7d3e2f8b501e", run), "manifest-d0420d72-756c-4159-9e7f-7d3e2f8b501e-0ac8f3c0-29bd-40aa-82c1-f1b7e0657b19.json"; got != want {
		t.Errorf("ManifestName = %s, want %s", got, want)
	}
	at := time.Date(2023, 8, 18, 1, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name  string
		files []lakeward.File
		want  string
	}{
		{"the sample", []lakeward.File{{Path: "destination/output001/amazon-s3_segment-name_20230818_010718.json", Bytes: 145854}},
			`{"flowRunId":"` + run + `","scheduledTime":"2023-08-18T01:00:00Z","exportResults":[{"sinkPath":"/destination/output001","name":"amazon-s3_segment-name_20230818_010718.json","size":145854}]}`},
		{"no files", nil, `{"flowRunId":"` + run + `","scheduledTime":"2023-08-18T01:00:00Z","exportResults":[]}`},
		{"root, awkward name", []lakeward.File{{Path: "a&<>\"ü.csv", Bytes: 1}},
			`{"flowRunId":"` + run + `","scheduledTime":"2023-08-18T01:00:00Z","exportResults":[{"sinkPath":"/","name":"a&<>\"ü.csv","size":1}]}`},
	} {
		got, err := lakeward.NewManifest(run, at, test.files).Bytes()
		if err != nil || string(got) != test.want {
			t.Errorf("%s: %s, %v, want %s", test.name, got, err, test.want)
		}
	}
}

// C3a: a secret prints as a fixed text in every way.
func TestSecretNeverPrints(t *testing.T) {
	const canary = "c4n4ry"
	s := lakeward.NewSecret(canary)
	holder := struct{ A, b lakeward.Secret }{s, s}
	acc := lakeward.Account{Name: "a", Key: s}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "secret", s, "holder", holder, "account", acc)
	j, err := json.Marshal(map[string]any{"s": s, "h": holder, "a": acc})
	if err != nil {
		t.Fatal(err)
	}
	all := logged.String() + string(j)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		all += fmt.Sprintf(verb, s) + fmt.Sprintf(verb, holder) + fmt.Sprintf(verb, &holder) + fmt.Sprintf(verb, acc)
	}
	if strings.Contains(all, canary) || strings.Contains(all, fmt.Sprintf("%x", canary)) {
		t.Errorf("the secret is in %s", all)
	}
	if s.Reveal() != canary || !s.IsSet() || (lakeward.Secret{}).IsSet() {
		t.Error("Reveal does not give the text")
	}
}
