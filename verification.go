package lakeward

// Verification is what re-reading a run's files found (DLV-130).
type Verification struct {
	Run      RunID          `json:"run"`
	Manifest string         `json:"manifest,omitempty"`
	Files    []VerifiedFile `json:"files"`
	Problems []Problem      `json:"problems"`
}

// VerifiedFile is one file as it was read back.
type VerifiedFile struct {
	Path   string `json:"path"`
	Rows   int64  `json:"rows"` // counted in the delivered bytes; not those of an encrypted file
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	// Encrypted says that only the owner of the private key can read the file, so its rows were not counted.
	Encrypted bool `json:"encrypted,omitempty"`
}

// Problem is one thing that is not as the books say.
type Problem struct {
	Path string `json:"path,omitempty"`
	What string `json:"what"`
}

// OK reports whether everything is as the books say.
func (v Verification) OK() bool { return len(v.Problems) == 0 }

// Check is one step of a connection test with its own result and fix (ADL-81).
type Check struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Millis int64  `json:"ms"`
	Code   string `json:"code,omitempty"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"`
	// Basis is what the meaning of the answer rests on: "recorded" from the real service, "documented" by its
	// vendor, or "assumed" until a real account proves it.
	Basis string `json:"basis,omitempty"`
}
