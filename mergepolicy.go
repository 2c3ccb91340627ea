package lakeward

import (
	"strings"
	"time"
)

// MergePolicyID identifies a merge policy.
type MergePolicyID string

// MergePolicy says which records make one profile, and whose values it has (PRF-02).
type MergePolicy struct {
	ID        MergePolicyID `json:"id"`
	Sandbox   string        `json:"sandbox"`
	Name      string        `json:"name"`
	Method    MergeMethod   `json:"method"`
	Datasets  []DatasetID   `json:"datasets,omitempty"` // by precedence, the first wins
	Stitching Stitching     `json:"stitching"`
	Default   bool          `json:"default"`
	CreatedAt time.Time     `json:"createdAt,omitzero"`
}

// MergeMethod says which of several values a profile has.
type MergeMethod string

// The methods.
const (
	TimestampOrdered  MergeMethod = "timestamp"  // that of the record that came last
	DatasetPrecedence MergeMethod = "precedence" // the first that is not null, by the order of the datasets
)

// Stitching says which records belong together.
type Stitching string

// The ways of stitching.
const (
	NoStitching  Stitching = "none"  // records of one primary identity (PRF-03)
	PrivateGraph Stitching = "graph" // records that share any identity, directly or by others (PRF-01)
)

// FirstPolicy is the policy that every sandbox begins with.
const FirstPolicy MergePolicyID = "default"

// MaxMergePolicies bounds the policies of a sandbox (PRF-02).
const MaxMergePolicies = 5

// DefaultMergePolicy is the policy of a sandbox until it is edited.
func DefaultMergePolicy(sandbox string) MergePolicy {
	return MergePolicy{ID: FirstPolicy, Sandbox: sandbox, Name: "Default", Method: TimestampOrdered, Stitching: NoStitching, Default: true}
}

// Validate checks a policy; datasets are those of the sandbox that feed profiles.
func (p *MergePolicy) Validate(datasets []Dataset) error {
	var errs fieldErrors
	checkName(&errs, p.Name)
	if methods := []string{string(TimestampOrdered), string(DatasetPrecedence)}; p.Method != TimestampOrdered && p.Method != DatasetPrecedence {
		errs.add("/method", "POLICY-1001", "the method is %s, not %s", strings.Join(methods, " or "), Quote(string(p.Method)))
		errs.hint(Suggestion(string(p.Method), methods))
	}
	if ways := []string{string(NoStitching), string(PrivateGraph)}; p.Stitching != NoStitching && p.Stitching != PrivateGraph {
		errs.add("/stitching", "POLICY-1002", "the stitching is %s, not %s", strings.Join(ways, " or "), Quote(string(p.Stitching)))
		errs.hint(Suggestion(string(p.Stitching), ways))
	}
	switch {
	case p.Method == DatasetPrecedence && len(p.Datasets) == 0:
		errs.add("/datasets", "POLICY-1003", "the method precedence needs datasets in their order, the one that wins first")
	case p.Method == TimestampOrdered && len(p.Datasets) > 0:
		errs.add("/datasets", "POLICY-1003", "the method timestamp takes no datasets; the record that came last wins")
	}
	seen := map[DatasetID]bool{}
	for _, id := range p.Datasets {
		known := false
		for _, d := range datasets {
			known = known || d.ID == id
		}
		if !known {
			errs.add("/datasets", "POLICY-1003", "%s is no dataset of records that feed profiles", Quote(string(id)))
		}
		if seen[id] {
			errs.add("/datasets", "POLICY-1003", "the dataset %s stands twice", Quote(string(id)))
		}
		seen[id] = true
	}
	return errs.err("the merge policy")
}

// Stitched reports whether identities of a namespace join profiles: there is no graph for partners' ids and for
// what is no person (IDN-01).
func (n Namespace) Stitched() bool { return n.Type != NonPeople && n.Type != PartnerID }
