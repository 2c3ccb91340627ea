package lakeward

// Nearest returns the name with the smallest edit distance to word, at most 2 (3 from
// 8 letters on), or "" if none is near (pql.md 6).
func Nearest(word string, names []string) string {
	limit := 2
	if len(word) >= 8 {
		limit = 3
	}
	best := ""
	for _, n := range names {
		if d := editDistance(word, n); d <= limit {
			best, limit = n, d-1
		}
	}
	return best
}

// Suggestion is a sentence with the nearest of names, "" if none is near.
func Suggestion(word string, names []string) string {
	if near := Nearest(word, names); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}

// editDistance counts the insertions, deletions and replacements from a to b, in bytes.
func editDistance(a, b string) int {
	if len(a) > 256 || len(b) > 256 {
		return 256
	}
	prev := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := range len(a) {
		diagonal := prev[0]
		prev[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d++
			}
			diagonal = prev[j+1]
			prev[j+1] = min(d, prev[j]+1, prev[j+1]+1)
		}
	}
	return prev[len(b)]
}
