package dataprep_test

import (
	"testing"
)

// Section 30: the vectors of the reference, exactly.
func TestReferenceVectors(t *testing.T) {
	c := chunkOf(t, profilesJSON)
	for _, test := range []struct{ src, want string }{
		{`concat("Hi, ", "there", "!")`, `"Hi, there!"`},
		{`explode("Hi, there!", " ")`, `["Hi,","there!"]`},
		{`instr("adobe.com", "com")`, `6`},
		{`substr("This is a substring test", 7, 8)`, `" a subst"`},
		{`lpad("bat", 8, "yz")`, `"yzyzybat"`},
		{`rpad("bat", 8, "yz")`, `"batyzyzy"`},
		{`left("abcde", 2)`, `"ab"`},
		{`right("abcde", 2)`, `"de"`},
		{`join(" ", to_array(true, "Hello", "world"))`, `"Hello world"`},
		{`extract_regex("E259,E259B_009,1_1", "([^,]+),[^,]*,([^,]+)")`, `["E259,E259B_009,1_1","E259","1_1"]`},
		{`sha1("my text")`, `"c3599c11e47719df18a2448690840c5dfcce3c80"`},
		{`sha256("my text")`, `"7330d2b39ca35eaf4cb95fc846c21ee6a39af698154a83a586ee270a0d372104"`},
		{`md5("my text")`, `"d3b96ce8c9fb4e9bd0198d03ba6852c7"`},
		{`crc32("my text")`, `"8df92e80"`},
		{`get_url_port("sftp://example.com//home/joe/employee.csv")`, `22`},
		{`get_url_path("sftp://example.com//home/joe/employee.csv")`, `"//home/joe/employee.csv"`},
		{`dformat(1571829875000, "yyyy-MM-dd'T'HH:mm:ss.SSSX")`, `"2019-10-23T11:24:35.000Z"`},
		{`date_part("MM", date("2019-10-17 11:55:12"))`, `10`},
		{`set_date_part("m", 4, date("2016-11-09T11:44:44.797"))`, `"2016-04-09T11:44:44.000Z"`},
		{`str_to_object("firstName=John,lastName=Doe,phone=123 456 7890", "=", ",")`, `{"firstName":"John","lastName":"Doe","phone":"123 456 7890"}`},
		{`coalesce(null, null, null, "first", null, "second")`, `"first"`},
		{`to_array(false, 1, null, 2, 3)`, `[1,2,3]`},
		{`add_to_array(['a','b'],'c','d')`, `["a","b","c","d"]`},
		{`iif("s".equalsIgnoreCase("S"), "True", "False")`, `"True"`},
		{`min(3,1,4)`, `1`},
		{`max(3,1,4)`, `4`},
		{`size_of([1,2,3,4])`, `4`},
		{`array_to_string('_', transformArray(organizations, org -> ucase(org.orgName)))`, `"ACME INC_SUPERSTAR INC_ENERGY CORP"`},
	} {
		if got, failed := value(t, c, test.src, 0); got != test.want || failed {
			t.Errorf("%s is %s (failed %v), want %s", test.src, got, failed, test.want)
		}
	}
}

// CAL-07, CAL-08: elements as text, and the predicate that is written.
func TestArraysAsText(t *testing.T) {
	c := chunkOf(t, profilesJSON)
	for _, test := range []struct {
		src  string
		row  int
		want string
	}{
		{`array_to_string('_', organizations)`, 0, `"{'id':123,'orgName':'Acme Inc','founded':1990,'latestInteraction':1708041600000}_{'id':456,'orgName':'Superstar Inc','founded':2004,'latestInteraction':1692921600000}_{'id':789,'orgName':'Energy Corp','founded':2021,'latestInteraction':1725753600000}"`},
		{`array_to_string('_', organizations)`, 1, `"{'id':1,'orgName':'Café \\'Zoë\\''}"`},
		{`array_to_string('_', organizations)`, 2, `null`},
		{`array_to_string('|', tags)`, 1, `""`},
		{`array_to_string(', ', filterArray(organizations, org -> org.founded > 2003).orgName)`, 0, `"Superstar Inc, Energy Corp"`},
		{`array_to_string('', filterArray(organizations, org -> org.founded > 2021))`, 0, `""`},
		{`array_to_string('+', flattenArray(grid))`, 0, `"a+b+c+d"`},
		{`array_to_string('_', orders)`, 0, `"{'sku':'a','price':19.99,'lines':[{'n':2},{'n':5}]}_{'sku':'b','lines':[]}"`},
	} {
		if got, failed := value(t, c, test.src, test.row); got != test.want || failed {
			t.Errorf("%s is %s (failed %v), want %s", test.src, got, failed, test.want)
		}
	}
}
