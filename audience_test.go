package lakeward_test

import (
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
)

// AUD-05: what an audience may become.
func TestAudienceStates(t *testing.T) {
	states := []lakeward.AudienceState{lakeward.Draft, lakeward.Published, lakeward.Inactive}
	allowed := map[[2]lakeward.AudienceState]bool{{lakeward.Draft, lakeward.Published}: true, {lakeward.Published, lakeward.Inactive}: true, {lakeward.Inactive, lakeward.Published}: true}
	for _, from := range states {
		for _, to := range states {
			got, err := from.To(to)
			if ok := allowed[[2]lakeward.AudienceState{from, to}]; ok != (err == nil) || ok && got != to {
				t.Errorf("%s to %s: %s, %v", from, to, got, err)
			}
		}
	}
}

// AUD-05, CSV-UP-05: what can be put into a dataflow.
func TestActivatable(t *testing.T) {
	at := time.Date(2025, 1, 4, 0, 0, 0, 0, time.UTC)
	later := at.Add(time.Millisecond)
	for _, test := range []struct {
		name, code string
		a          lakeward.Audience
	}{
		{"published", "", lakeward.Audience{State: lakeward.Published}},
		{"draft", "AUD-1001", lakeward.Audience{State: lakeward.Draft}},
		{"inactive", "AUD-1001", lakeward.Audience{State: lakeward.Inactive}},
		{"expires in a moment", "", lakeward.Audience{State: lakeward.Published, ExpiresAt: &later}},
		{"expires now", "AUD-1001", lakeward.Audience{State: lakeward.Published, ExpiresAt: &at}},
	} {
		if err := test.a.Activatable(at); lakeward.CodeOf(err) != test.code {
			t.Errorf("%s: %v, want %q", test.name, err, test.code)
		}
	}
}

// CSV-UP-05: when an uploaded audience can be refreshed, and what that gives.
func TestRefresh(t *testing.T) {
	up := time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)
	day := func(n float64) time.Time { return up.Add(time.Duration(n * 24 * float64(time.Hour))) }
	for _, test := range []struct {
		name    string
		days    int
		at      []float64 // days after the upload at which it is refreshed; the last one counts
		refused string
		expires float64
	}{
		{"too early", 30, []float64{22.99}, "in the last 7 days", 30},
		{"7 days before", 30, []float64{23}, "", 60},
		{"at the last moment", 30, []float64{29.999}, "", 60},
		{"expired", 30, []float64{30}, "has expired", 30},
		{"a short life, again after 19 minutes", 3, []float64{1, 1 + 19.0/1440}, "20 minutes", 6},
		{"a short life, again after 20 minutes", 3, []float64{1, 1 + 20.0/1440}, "", 9},
		{"in the last days of the longer life", 90, []float64{84, 174}, "", 270},
	} {
		a := lakeward.Audience{Name: "list", Origin: lakeward.UploadOrigin, ExpireDays: test.days}
		a.Restart(up)
		var err error
		for _, at := range test.at {
			err = a.Refresh(day(at))
		}
		if (err == nil) != (test.refused == "") || err != nil && (lakeward.CodeOf(err) != "AUD-1003" || !strings.Contains(err.Error(), test.refused)) {
			t.Errorf("%s: %v, want %q", test.name, err, test.refused)
		}
		if !a.ExpiresAt.Equal(day(test.expires)) {
			t.Errorf("%s: expires at %v, want %v", test.name, a.ExpiresAt, day(test.expires))
		}
	}
	rule := lakeward.Audience{Origin: lakeward.RuleOrigin}
	if err := rule.Refresh(up); lakeward.CodeOf(err) != "AUD-1003" {
		t.Errorf("a rule: %v", err)
	}
	if old := (&lakeward.Audience{Origin: lakeward.UploadOrigin}); lakeward.CodeOf(old.Refresh(up)) != "AUD-1003" || old.Expired(up.AddDate(9, 0, 0)) {
		t.Error("one without an expiry is refreshed, or expires")
	}
}

// CSV-UP-04, CSV-UP-05, AUD-07: what an audience may have.
func TestAudienceChecks(t *testing.T) {
	for _, test := range []struct {
		name, code string
		change     func(a *lakeward.Audience)
	}{
		{"as it is", "", func(*lakeward.Audience) {}},
		{"1 day", "", func(a *lakeward.Audience) { a.ExpireDays = 1 }},
		{"90 days", "", func(a *lakeward.Audience) { a.ExpireDays = 90 }},
		{"0 days", "AUD-1005", func(a *lakeward.Audience) { a.ExpireDays = 0 }},
		{"91 days", "AUD-1005", func(a *lakeward.Audience) { a.ExpireDays = 91 }},
		{"external id", "", func(a *lakeward.Audience) { a.ExternalID = "$a_1$" }},
		{"external id with a digit first", "AUD-1004", func(a *lakeward.Audience) { a.ExternalID = "1a" }},
		{"external id with a dash", "AUD-1004", func(a *lakeward.Audience) { a.ExternalID = "a-b" }},
		{"folder", "", func(a *lakeward.Audience) { a.Folder = "/a/b/" }},
		{"folder without a name", "AUD-1006", func(a *lakeward.Audience) { a.Folder = "a//b" }},
		{"folder upwards", "AUD-1006", func(a *lakeward.Audience) { a.Folder = "a/../b" }},
		{"tag with a line break", "AUD-1006", func(a *lakeward.Audience) { a.Tags = []string{"a\nb"} }},
		{"long tag", "AUD-1006", func(a *lakeward.Audience) { a.Tags = []string{strings.Repeat("é", 65)} }},
		{"51 tags", "AUD-1006", func(a *lakeward.Audience) { a.Tags = strings.Split(strings.Repeat("x,", 50)+"x", ",") }},
	} {
		a := lakeward.Audience{Name: "list", Origin: lakeward.UploadOrigin, ExpireDays: 30}
		a.Restart(time.Now())
		test.change(&a)
		if test.name == "51 tags" {
			for i := range a.Tags {
				a.Tags[i] = strings.Repeat("x", i+1)
			}
		}
		if err := a.Validate(); lakeward.CodeOf(err) != test.code {
			t.Errorf("%s: %v, want %q", test.name, err, test.code)
		}
	}
	a := lakeward.Audience{Name: "x", Origin: lakeward.RuleOrigin, Rule: "a > 1", Tags: []string{" b ", "a", "b", ""}, Folder: "/eu/retail/"}
	if err := a.Validate(); err != nil || strings.Join(a.Tags, ",") != "b,a" || a.Folder != "eu/retail" {
		t.Errorf("%v, tags %q, folder %q", err, a.Tags, a.Folder)
	}
}

// AUD-07: filters of the list.
func TestAudienceFilter(t *testing.T) {
	a := lakeward.Audience{Tags: []string{"vip", "eu"}, Folder: "eu/retail", Origin: lakeward.RuleOrigin, State: lakeward.Draft}
	for _, test := range []struct {
		name string
		f    lakeward.AudienceFilter
		want bool
	}{
		{"none", lakeward.AudienceFilter{}, true},
		{"a tag", lakeward.AudienceFilter{Tags: []string{"eu"}}, true},
		{"both tags", lakeward.AudienceFilter{Tags: []string{"eu", "vip"}}, true},
		{"one of two tags", lakeward.AudienceFilter{Tags: []string{"eu", "us"}}, false},
		{"its folder", lakeward.AudienceFilter{Folder: "eu/retail/"}, true},
		{"the folder above", lakeward.AudienceFilter{Folder: "eu"}, true},
		{"a folder that begins alike", lakeward.AudienceFilter{Folder: "eu/ret"}, false},
		{"origin", lakeward.AudienceFilter{Origin: lakeward.UploadOrigin}, false},
		{"state", lakeward.AudienceFilter{State: lakeward.Draft}, true},
		{"another state", lakeward.AudienceFilter{State: lakeward.Published}, false},
	} {
		if got := test.f.Match(a); got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
	}
}
