package lakeward_test

import (
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
)

func values() lakeward.NameValues {
	return lakeward.NameValues{AudienceID: "ce5c5482-2813-4a80-99bc-57113f6acde2", AudienceName: "VIP", DataflowID: "7b891e5f-025a-4f0d-9e73-1919e71da3b0", DataflowName: "My flow",
		Organization: "My Org", Sandbox: "prod", GeneratedAt: time.Date(2022, 5, 9, 21, 5, 43, 0, time.UTC)}
}

// S48, NAM-02, NAM-05, NAM-11, NAM-13, D07, D08: what templates expand to.
func TestFileStem(t *testing.T) {
	for _, test := range []struct {
		name, template, audience, want string
	}{
		{"default", lakeward.DefaultFileName, "VIP", "Azure_Data_Lake_Storage_Gen2_ce5c5482-2813-4a80-99bc-57113f6acde2_20220509_210543"},
		{"editor's pattern", "%SEGMENT_ID%_%DATETIME(MMDDYYYY_HHMMSS)%", "VIP", "ce5c5482-2813-4a80-99bc-57113f6acde2_05092022_210543"},
		{"Unix time", "%TIMESTAMP%", "VIP", "1652130343"},
		{"names", "%SEGMENT_NAME%-%DESTINATION_INSTANCE_NAME%-%ORGANIZATION_NAME%-%SANDBOX_NAME%", "VIP", "VIP-My flow-My Org-prod"},
		{"BI-F16 slash in a name", "x%SEGMENT_NAME%", "../../etc", "x.._.._etc"},
		{"BI-N14 forbidden characters", "%SEGMENT_NAME%", "a:b*?<>|\"\\x. ", "a_b_______x"},
		{"not Latin", "%SEGMENT_NAME%", "Zürich 日本", "Zürich 日本"},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := values()
			v.AudienceName = test.audience
			if got, err := lakeward.FileStem(test.template, ".csv", v); err != nil || got != test.want {
				t.Errorf("FileStem(%s) = %q, %v, want %q", test.template, got, err, test.want)
			}
		})
	}
	v := values()
	v.AudienceName = strings.Repeat("é", 300)
	stem, err := lakeward.FileStem("%SEGMENT_NAME%_%SEGMENT_ID%", ".csv.gz", v)
	if err != nil || len(stem+"_99999.csv.gz") > 255 || !strings.HasSuffix(stem, v.AudienceID) {
		t.Errorf("BI-F17: %d bytes, %v: the audience's name is cut, never the id", len(stem), err)
	}
	again, _ := lakeward.FileStem("%SEGMENT_NAME%_%SEGMENT_ID%", ".csv.gz", v)
	if again != stem {
		t.Error("BI-F17: the cut name is not stable")
	}
	for k, want := range []string{"n.csv.gz", "n_2.csv.gz", "n_3.csv.gz"} {
		if got := lakeward.PartName("n", k, ".csv.gz"); got != want {
			t.Errorf("SPL-02: part %d is named %s, want %s", k, got, want)
		}
	}
}

// NAM-03, NAM-04, BI-N: templates that are refused.
func TestValidateFileName(t *testing.T) {
	for _, test := range []struct{ name, template, code string }{
		{"default", lakeward.DefaultFileName, ""},
		{"static", "%DESTINATION%_%SEGMENT_ID%", ""},
		{"BI-N01 no destination", "%SEGMENT_ID%", "NAME-1001"},
		{"BI-N01 no audience", "%DESTINATION%", "NAME-1001"},
		{"BI-N04 pattern", "%DESTINATION%_%SEGMENT_ID%_%DATETIME(YYYY-mm-DD)%", "NAME-1003"},
		{"BI-N05 two times", "%DESTINATION%_%SEGMENT_ID%_%DATETIME(YYYYMMdd_HHmmss)%_%TIMESTAMP%", "NAME-1006"},
		{"BI-N10 manifest", "manifest-%DESTINATION%_%SEGMENT_ID%", "NAME-1002"},
		{"BI-N13 long", "%DESTINATION%_%SEGMENT_ID%" + strings.Repeat("x", 200), "NAME-1007"},
		{"BI-N16 tmp", "%DESTINATION%_%SEGMENT_ID%.tmp", "NAME-1002"},
		{"BI-N16 reserved", "_lakeward%DESTINATION%_%SEGMENT_ID%", "NAME-1002"},
		{"BI-N17 twice", "%DESTINATION%_%SEGMENT_ID%_%SEGMENT_ID%", "NAME-1006"},
		{"unknown macro", "%DESTINATION%_%SEGMENT_ID%_%PATH%", "NAME-1004"},
		{"open macro", "%DESTINATION%_%SEGMENT_ID", "NAME-1004"},
		{"line break", "%DESTINATION%_%SEGMENT_ID%\n", "NAME-1005"},
	} {
		if err := lakeward.ValidateFileName(test.template, ".csv.gz", values()); lakeward.CodeOf(err) != test.code {
			t.Errorf("%s: %v, want code %q", test.name, err, test.code)
		}
	}
}

// DLV-17: folder and longest file name fit into a path.
func TestPlace(t *testing.T) {
	d := lakeward.Destination{FileType: lakeward.CSV, Folder: strings.Repeat("a234567890/", 85) + "b"}
	if _, _, err := d.Place(lakeward.DefaultFileName, d.Extension(), values()); lakeward.CodeOf(err) != "PATH-1006" {
		t.Errorf("936 and about 100 bytes: %v", err)
	}
	d.Folder = d.Folder[11*10:]
	folder, stem, err := d.Place("%SEGMENT_ID%_%ORGANIZATION_NAME%", d.Extension(), values())
	if err != nil || folder != d.Folder || stem != values().AudienceID+"_My Org" {
		t.Errorf("Place = %q, %q, %v", folder, stem, err)
	}
}

// S30, CON-15, BI-F: folder paths.
func TestParseFolder(t *testing.T) {
	for _, test := range []struct{ name, path, want, code string }{
		{"plain", "acme/2021", "acme/2021", ""},
		{"outer slashes", "/acme/", "acme", ""},
		{"container root", "/", "", ""},
		{"macros", "a/%SEGMENT_NAME%/%SEGMENT_ID%", "a/%SEGMENT_NAME%/%SEGMENT_ID%", ""},
		{"BI-F13 not Latin", "日本/عربي/😀", "日本/عربي/😀", ""},
		{"BI-F20 looks like code", "${x}/{{7*7}}/$(id)", "${x}/{{7*7}}/$(id)", ""},
		{"BI-F01 dots", "a/../b", "", "PATH-1001"},
		{"BI-F01 dot", "a/./b", "", "PATH-1001"},
		{"BI-F02 inner slashes", "a//b", "", "PATH-1001"},
		{"BI-F04 percent", "a/%2e%2e", "", "PATH-1010"},
		{"BI-F05 NUL", "a/\x00", "", "PATH-1002"},
		{"BI-F05 direction", "a/\u202e", "", "PATH-1002"},
		{"back slash", `a\b`, "", "PATH-1002"},
		{"BI-F07 reserved", "_lakeward/x", "", "PATH-1005"},
		{"BI-F10 levels", strings.Repeat("a/", 51), "", "PATH-1006"},
		{"long level", strings.Repeat("a", 256), "", "PATH-1006"},
		{"not UTF-8", "a\xff", "", "PATH-1002"},
	} {
		got, err := lakeward.ParseFolder(test.path)
		if lakeward.CodeOf(err) != test.code || got != test.want {
			t.Errorf("%s: %q, %v, want %q, %q", test.name, got, err, test.want, test.code)
		}
	}
}

// CON-14, E-14, BI-F14, BI-F16, DLV-16: macros of folders.
func TestExpandFolder(t *testing.T) {
	v := values()
	v.AudienceName, v.AudienceID = "Luxury Audience", "25768be6-ebd5-45cc-8913-12fb3f348615"
	got, err := lakeward.ExpandFolder("acme/campaigns/2021/%SEGMENT_NAME%/%SEGMENT_ID%", v)
	if want := "acme/campaigns/2021/Luxury Audience/25768be6-ebd5-45cc-8913-12fb3f348615"; err != nil || got != want {
		t.Errorf("ExpandFolder = %q, %v, want %q", got, err, want)
	}
	v.AudienceName = "../.."
	if got, err := lakeward.ExpandFolder("a/%SEGMENT_NAME%/b", v); err != nil || strings.Count(got, "/") != 2 {
		t.Errorf("a name with slashes changes the depth: %q, %v", got, err)
	}
	v.AudienceName = ".."
	if got, err := lakeward.ExpandFolder("a/%SEGMENT_NAME%/b", v); err == nil {
		t.Errorf("a name of dots became %q", got)
	}
	for folder, want := range map[string]string{"a/b": "a/b", "a/%SEGMENT_ID%/c": "a", "%SEGMENT_ID%": "", "": ""} {
		if got := lakeward.FolderBase(folder); got != want {
			t.Errorf("FolderBase(%q) = %q, want %q", folder, got, want)
		}
	}
}

// S49, S50, MAP-05 to MAP-18, BI-M: mappings.
func TestMapping(t *testing.T) {
	union := []lakeward.Leaf{{Path: "person.name.firstName", Type: lakeward.TypeString}, {Path: "age", Type: lakeward.TypeInteger}}
	now := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	formula := func(_ int, m lakeward.Mapping) (lakeward.Field, error) {
		if m.SourceType == lakeward.PathSource && !strings.Contains(m.Source, "[") {
			return lakeward.Field{}, &lakeward.Error{Kind: lakeward.Invalid, Code: "EXPR-1004", Msg: "no such field"}
		}
		return lakeward.Field{Type: lakeward.TypeString}, nil
	}
	for _, test := range []struct {
		name    string
		mapping []lakeward.Mapping
		code    string
		headers string
	}{
		{"default headers", []lakeward.Mapping{{Source: "person.name.firstName"}, {Source: "xdm: age"}, {Source: "identityMap.Email"}}, "", "person_name_firstName age Email"},
		{"membership", []lakeward.Mapping{{Source: "xdm: segmentMembership.seg_namespace.seg_id.status"}, {Source: "segmentMembership.seg_namespace.seg_id.lastQualificationTime"}}, "",
			"segmentMembership_status segmentMembership_lastQualificationTime"},
		{"same source twice", []lakeward.Mapping{{Source: "age", Target: "a"}, {Source: "age", Target: "b"}}, "", "a b"},
		{"BI-M01 none", nil, "MAP-1001", ""},
		{"BI-M02 unknown field", []lakeward.Mapping{{Source: "agee"}}, "MAP-1002", ""},
		{"object", []lakeward.Mapping{{Source: "person.name"}}, "MAP-1002", ""},
		{"BI-M04 two namespaces", []lakeward.Mapping{{Source: "identityMap.Email"}, {Source: "identityMap.ECID"}}, "MAP-1007", ""},
		{"unknown namespace", []lakeward.Mapping{{Source: "identityMap.Nope"}}, "MAP-1007", ""},
		{"BI-M05 three keys", []lakeward.Mapping{{Source: "age", Key: true}, {Source: "age", Target: "b", Key: true}, {Source: "age", Target: "c", Key: true}}, "MAP-1008", ""},
		{"DED-01 namespace and attribute", []lakeward.Mapping{{Source: "identityMap.Email"}, {Source: "age", Key: true}}, "MAP-1008", ""},
		{"MAP-05 dot", []lakeward.Mapping{{Source: "age", Target: "a.b"}}, "MAP-1003", ""},
		{"MAP-13 duplicate, other case", []lakeward.Mapping{{Source: "age", Target: "A"}, {Source: "age", Target: "a"}}, "MAP-1003", ""},
		{"BI-M08 line break", []lakeward.Mapping{{Source: "age", Target: "a\nb"}}, "MAP-1003", ""},
		{"BI-M14 path", []lakeward.Mapping{{Source: "a..b"}}, "MAP-1002", ""},
		{"CAL-01 header of a calculated field", []lakeward.Mapping{{Source: "upper(age)", SourceType: lakeward.ExpressionSource}}, "MAP-1003", ""},
		{"calculated field", []lakeward.Mapping{{Source: "identityMap.Email", SourceType: lakeward.ExpressionSource, Target: "x"}, {Source: " a b ", SourceType: lakeward.StaticSource, Target: "y"}, {Source: "age", SourceType: "ATTRIBUTE"}}, "", "x y age"},
		{"other type of source", []lakeward.Mapping{{Source: "age", SourceType: "SQL", Target: "a"}}, "MAP-1002", ""},
		{"DED-01 membership as key", []lakeward.Mapping{{Source: "segmentMembership.seg_namespace.seg_id.status", Key: true}}, "MAP-1008", ""},
		{"DED-01 constant as key", []lakeward.Mapping{{Source: "a", SourceType: lakeward.StaticSource, Target: "a", Key: true}}, "MAP-1008", ""},
		{"MAP-10 headers of elements", []lakeward.Mapping{{Source: "orders[0].sku"}, {Source: `prefs["lang"]`}, {Source: "prefs['x'].y"}}, "", "orders0_sku prefs_lang prefs_x_y"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := lakeward.Dataflow{Name: "f", Mapping: test.mapping, Items: []lakeward.DataflowItem{{AudienceID: "x", Schedule: lakeward.DefaultSchedule(now)}}}
			err := f.Validate(now)
			var headers []string
			if err == nil {
				var cols []lakeward.Column
				cols, err = lakeward.ResolveMapping(f.Mapping, union, lakeward.StandardNamespaces(), lakeward.Destination{FileType: lakeward.CSV}, formula)
				for _, c := range cols {
					headers = append(headers, c.Target)
				}
			}
			if lakeward.CodeOf(err) != test.code || test.code == "" && strings.Join(headers, " ") != test.headers {
				t.Errorf("%v, headers %v, want %q, %q", err, headers, test.code, test.headers)
			}
		})
	}
	locked := lakeward.NormalizeMapping([]lakeward.Mapping{{Source: "identityMap.Email"}})[0]
	if !locked.Mandatory || !locked.Key {
		t.Error("MAP-17: a namespace is mandatory and the deduplication key")
	}
}

func FuzzFileStem(f *testing.F) {
	f.Add(lakeward.DefaultFileName, "VIP")
	f.Add("%SEGMENT_NAME%", "../x")
	f.Fuzz(func(t *testing.T, template, audience string) {
		v := values()
		v.AudienceName = audience
		stem, err := lakeward.FileStem(template, ".csv", v)
		if err == nil && (strings.ContainsAny(stem, "/\\\x00") || len(stem) > 255 || strings.Trim(stem, ".") == "") {
			t.Errorf("FileStem(%q, %q) = %q", template, audience, stem)
		}
	})
}
