package together

import (
	"errors"
	"testing"

	"github.com/lakeward/lakeward"
)

// A panic in work that goes on beside its caller is told as an error (DLV-46), and of several errors the first in order.
func TestTogetherTellsErrorsAndPanics(t *testing.T) {
	full := errors.New("disk full")
	for _, test := range []struct {
		name string
		do   func(i int) error
		want string
	}{
		{"nothing", func(int) error { return nil }, ""},
		{"a panic", func(i int) error {
			if i == 2 {
				panic("a bug")
			}
			return nil
		}, lakeward.FailInternal},
	} {
		if err := Each(5, test.do); lakeward.CodeOf(err) != test.want || err != nil == (test.want == "") {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if err := Each(2, func(int) error { return full }); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	var b Task
	b.Start(func() error { panic("a bug") })
	if err := b.Wait(); lakeward.CodeOf(err) != lakeward.FailInternal {
		t.Errorf("a panic beside is told as %v", err)
	}
}
