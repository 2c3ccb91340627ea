package warehouse

import (
	"context"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// numbered are rows in memory, each of a profile, that become a file whose first column is the number of the profile.
type numbered struct {
	leaves  []lakeward.Leaf
	numbers []uint32
	columns []vector.Vector // of each leaf
}

func newNumbered(leaves []lakeward.Leaf) numbered {
	n := numbered{leaves: leaves, columns: make([]vector.Vector, len(leaves))}
	for k, l := range leaves {
		n.columns[k].ResetTo(vector.ShapeOf(l))
	}
	return n
}

// size is about how many bytes the rows take in memory.
func (n *numbered) size() int {
	size := 4 * len(n.numbers)
	for k := range n.columns {
		size += n.columns[k].Size()
	}
	return size
}

// write writes the rows at some positions, in their order.
func (n *numbered) write(ctx context.Context, out *tableWriter, order []int32) error {
	c := vector.Chunk{Columns: make([]vector.Vector, len(n.leaves)+1)}
	for len(order) > 0 {
		c.Len = min(len(order), vector.MaxRows)
		c.Columns[0].Reset(vector.Int)
		for _, i := range order[:c.Len] {
			c.Columns[0].AppendInt(int64(n.numbers[i]))
		}
		for k, l := range n.leaves {
			c.Columns[k+1].ResetTo(vector.ShapeOf(l))
			for _, i := range order[:c.Len] {
				c.Columns[k+1].AppendFrom(&n.columns[k], int(i))
			}
		}
		order = order[c.Len:]
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := out.add(&c); err != nil {
			return err
		}
	}
	return nil
}
