package deliver

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
)

func record() Record {
	at := time.Date(2025, 1, 4, 6, 0, 1, 0, time.UTC)
	m := "out/manifest.json"
	r := &lakeward.Run{ID: "41e058ce-5361-8951-952d-563b6983599a", DataflowID: "7b891e5f-025a-4f0d-9e73-1919e71da3b0", Item: "ce5c5482-2813-4a80-99bc-57113f6acde2", Slot: "at:2025-01-04T06:00:00Z",
		Attempt: 2, Nonce: strings.Repeat("ab", 16), ScheduledAt: at.Truncate(time.Minute), GeneratedAt: &at, Rev: 3, ToGeneration: 7, Plan: &lakeward.Plan{Hash: "cafe"}}
	rec := (&Lake{Store: "store"}).newRecord(r, CommitKind)
	rec.Files = []lakeward.File{{Staged: "s", Path: "out/f.csv", Rows: 1, Bytes: 2, CRC64: "0", SHA256: "1", ETag: "e"}}
	rec.Manifest = &m
	return rec
}

func key() []byte { return bytes.Repeat([]byte{7}, 32) }

// DLV-20: the two lines of a slot record, every field of the table in the first.
func TestRecordForm(t *testing.T) {
	data, err := record().encode(key(), slotDomain)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	if len(lines) != 3 || lines[2] != "" || !strings.HasPrefix(lines[1], `{"keyId":"`) {
		t.Fatalf("lines %q", lines)
	}
	want := `{"v":1,"kind":"commit","run":"41e058ce-5361-8951-952d-563b6983599a","flow":"7b891e5f-025a-4f0d-9e73-1919e71da3b0","item":"ce5c5482-2813-4a80-99bc-57113f6acde2",` +
		`"slot":"at:2025-01-04T06:00:00Z","attempt":2,"nonce":"abababababababababababababababab","scheduledTime":"2025-01-04T06:00:00Z","generatedAt":"2025-01-04T06:00:01Z","rev":3,` +
		`"store":"store","epoch":"store","epochNo":0,"fromGeneration":null,"toGeneration":7,"generationHash":"cafe",` +
		`"files":[{"file":0,"staged":"s","final":"out/f.csv","rows":1,"size":2,"crc64":"0","sha256":"1","etag":"e","recipients":[]}],` +
		`"counts":{"received":0,"activated":0,"rows":0,"excludedMandatory":0,"excludedIdentity":0,"excludedConsent":0,"failed":0,"deduplicated":0},"manifest":"out/manifest.json"}`
	if lines[0] != want {
		t.Errorf("record\n%s, want\n%s", lines[0], want)
	}
	got, err := DecodeRecord(data, key(), record().Run)
	if err != nil || got.Nonce != record().Nonce || len(got.Files) != 1 || *got.Manifest != "out/manifest.json" {
		t.Errorf("DecodeRecord: %+v, %v", got, err)
	}
}

// CASE-18, C12: a forged, cut, swapped or foreign record is never adopted.
func TestRecordThatDoesNotVerify(t *testing.T) {
	good, err := record().encode(key(), slotDomain)
	if err != nil {
		t.Fatal(err)
	}
	other := record()
	other.Run = "0cb7d00f-1aaa-85a3-8395-155a7031459b"
	swapped, err := other.encode(key(), slotDomain)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"empty": nil, "cut": good[:len(good)-1], "cut in the first line": good[:50], "longer": append(bytes.Clone(good), "x\n"...),
		"one bit": flip(good, 40), "mac": flip(good, len(good)-5), "of another run": swapped, "another key": mustEncode(t, record(), bytes.Repeat([]byte{8}, 32)),
		"without mac": []byte("{}\n{}\n"), "not JSON": []byte("x\ny\n"),
	} {
		if rec, err := DecodeRecord(data, key(), record().Run); !errors.Is(err, errNotAuthentic) {
			t.Errorf("%s: %+v, %v", name, rec, err)
		}
	}
}

func mustEncode(t *testing.T, r Record, key []byte) []byte {
	t.Helper()
	b, err := r.encode(key, slotDomain)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func flip(b []byte, at int) []byte {
	c := bytes.Clone(b)
	c[at] ^= 1
	return c
}

// Delivery 4.2: where things lie.
func TestNames(t *testing.T) {
	r := &lakeward.Run{ID: "41e058ce-5361-8951-952d-563b6983599a", DataflowID: "flow", Item: "item", Attempt: 3, Nonce: strings.Repeat("ab", 16), ToGeneration: 12}
	for got, want := range map[string]string{
		SlotPath("base/x", "flow", r.ID):  "base/x/_lakeward/flow/slots/41/41e058ce-5361-8951-952d-563b6983599a.slot",
		SlotPath("", "flow", r.ID):        "_lakeward/flow/slots/41/41e058ce-5361-8951-952d-563b6983599a.slot",
		draft("base", r, fileDraft(7), 2): "base/_lakeward/flow/staging/41e058ce-5361-8951-952d-563b6983599a/3-abababab/00007-2.tmp",
		draft("base", r, slotDraft, 0):    "base/_lakeward/flow/staging/41e058ce-5361-8951-952d-563b6983599a/3-abababab/slot-0.tmp",
		order(r):                          "000000-000000000012-0000000000",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	staged := draft("base", r, fileDraft(7), 2)
	m := marker(r, fileDraft(7))
	if !author(m, r.ID, fileDraft(7), staged) || author(m, r.ID, fileDraft(8), staged) || author(m, "other", fileDraft(7), staged) || author(nil, r.ID, fileDraft(7), staged) {
		t.Error("authorship is run, file and nonce")
	}
	size := 0
	for k, v := range m {
		size += len(k) + 4*(len(v)+2)/3 + 2
	}
	if size > 1024 || len(m) != 8 {
		t.Errorf("DLV-13: the marker has %d keys and %d bytes", len(m), size)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	good, err := record().encode(key(), slotDomain)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("{}\n{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rec, err := DecodeRecord(data, key(), record().Run)
		if err == nil && !bytes.Equal(data[:bytes.IndexByte(data, '\n')], good[:bytes.IndexByte(good, '\n')]) {
			t.Errorf("a record that we did not make verifies: %+v", rec)
		}
	})
}
