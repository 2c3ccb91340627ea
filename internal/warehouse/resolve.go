package warehouse

import (
	"slices"

	"github.com/lakeward/lakeward"
)

// resolve returns the number of the profile that the record whose identities are p.ids belongs to, and whether the record changes
// anything. An unknown identity makes a profile. With a graph, profiles that share an identity with
// the record become one: the smallest number survives (PRF-01).
func (p *profileWriter) resolve() (number uint32, brings bool, err error) {
	var room [8]uint32
	found, unknown := room[:0], false
	for k := range p.ids {
		id := &p.ids[k]
		if len(id.value) == 0 || !p.joins(*id, k == 0) {
			continue
		}
		n, ok, err := p.holder(id, k == 0)
		if err != nil {
			return 0, false, err
		}
		switch {
		case !ok:
			unknown = true
		case !slices.Contains(found, n):
			found = append(found, n)
		}
	}
	if len(found) == 0 {
		if number, err = p.newNumber(); err == nil {
			p.await(number)
		}
		return number, true, err
	}
	number = slices.Min(found)
	if brings = unknown || len(found) > 1 || p.class == lakeward.RecordClass; !brings {
		brings, err = p.lists(number)
	}
	if err != nil || !brings {
		return number, false, err
	}
	had, again, err := p.numberAgain(number)
	if err != nil {
		return 0, false, err
	}
	if again {
		found, number = append(found, had), min(number, had)
	}
	for _, n := range found {
		if n != number {
			p.joined[n] = number
		}
	}
	p.await(number)
	return number, true, nil
}

// joins reports whether an identity of a record tells whose the record is.
func (p *profileWriter) joins(id idValue, primary bool) bool {
	return primary || p.policy.graph() && p.policy.Stitched[id.namespace]
}

// holder returns the profile that an identity of a record belongs to.
func (p *profileWriter) holder(id *idValue, primary bool) (number uint32, ok bool, err error) {
	if at := p.waiting.find(id.sum(), id.namespace, id.value); at >= 0 {
		return p.canonical(p.awaits[at]), true, nil
	}
	switch {
	case !p.policy.graph():
		number, ok, err = p.index.find(*id, p.class == lakeward.RecordClass)
	case p.policy.Stitched[id.namespace]:
		number, ok, err = p.index.any(*id)
	case primary: // no graph for its type (IDN-01): only records of one primary identity belong together
		var found [entryKinds]*uint32
		if found, err = p.index.lookup(*id, []entryKind{primaryEntry}); found[primaryEntry] != nil {
			number, ok = *found[primaryEntry], true
		}
	}
	return p.canonical(number), ok, err
}

// canonical returns the profile that a number stands for among the pending ones.
func (p *profileWriter) canonical(number uint32) uint32 {
	if len(p.joined) == 0 {
		return number
	}
	for {
		to, ok := p.joined[number]
		if !ok {
			return number
		}
		number = to
	}
}

// lists reports whether an event names identities without a graph that its profile does not have yet.
func (p *profileWriter) lists(number uint32) (bool, error) {
	if !p.policy.graph() {
		return false, nil
	}
	for k, id := range p.ids {
		if len(id.value) == 0 || p.joins(id, k == 0) {
			continue
		}
		if has, err := p.index.has(id, number); err != nil || !has {
			return err == nil, err
		}
	}
	return false, nil
}

// await notes the identities of a record that is pending.
func (p *profileWriter) await(number uint32) {
	for k := range p.ids {
		id := &p.ids[k]
		if len(id.value) == 0 || !p.joins(*id, k == 0) {
			continue
		}
		at := p.waiting.find(id.sum(), id.namespace, id.value)
		if at < 0 {
			at = p.waiting.add(id.sum(), id.namespace, id.value)
			p.awaits = append(p.awaits, number)
		}
		p.awaits[at] = number
	}
}

// newNumber gives a profile its number. One that is being rebuilt keeps the number it had; of the
// parts of one that falls apart the first keeps it.
func (p *profileWriter) newNumber() (uint32, error) {
	had, known, err := p.before.number(p.ids[0].namespace, p.ids[0].value)
	if err != nil {
		return 0, err
	}
	if known && p.before.given.CheckedAdd(had) {
		return had, nil
	}
	number := p.next
	if number+1 < number {
		return 0, &lakeward.Error{Kind: lakeward.Invalid, Code: "QUOTA-1001", Msg: "the sandbox has no profile numbers left"}
	}
	p.next++
	p.fresh++
	return number, nil
}

// numberAgain returns the number that a record's profile had before a rebuild, if the profile got a new one because
// its first records are those that are deleted later.
func (p *profileWriter) numberAgain(number uint32) (had uint32, again bool, err error) {
	if p.before == nil || number < p.before.snap.NextNumber {
		return 0, false, nil
	}
	had, again, err = p.before.number(p.ids[0].namespace, p.ids[0].value)
	return had, again && p.before.given.CheckedAdd(had), err
}
