package warehouse_test

import "context"

// ctx is for helpers that a property test calls, whose T has no context of the test's own.
func ctx() context.Context { return context.Background() }
