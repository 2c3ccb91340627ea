package warehouse

import (
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/together"
	"github.com/lakeward/lakeward/internal/vector"
)

// tableChunk collects the rows of a file until there are enough to write, which happens while the next ones are
// collected. Its user ends or stops it.
type tableChunk struct {
	vector.Chunk
	out     *tableWriter
	columns []parquet.Column
	full    vector.Chunk // on its way to the file, or free
	writing together.Task
	names   []nameTable // of each column
}

func newTableChunk(out *tableWriter, columns []parquet.Column) *tableChunk {
	t := &tableChunk{out: out, columns: columns, names: make([]nameTable, len(columns))}
	t.Columns, t.full.Columns = make([]vector.Vector, len(columns)), make([]vector.Vector, len(columns))
	t.reset()
	return t
}

func (t *tableChunk) reset() {
	t.Len = 0
	for i, c := range t.columns {
		t.Columns[i].ResetTo(c.Shape())
	}
}

// ready makes room for a row, and more if the caller looks at room.
func (t *tableChunk) ready() error {
	if t.Len < vector.MaxRows {
		return nil
	}
	return t.flush()
}

// room is the number of rows that can be added.
func (t *tableChunk) room() int { return vector.MaxRows - t.Len }

func (t *tableChunk) flush() error {
	if err := t.writing.Wait(); err != nil {
		return err
	}
	t.Chunk, t.full = t.full, t.Chunk
	t.writing.Start(func() error { return t.out.add(&t.full) })
	t.reset()
	return nil
}

// end writes the last rows and waits until all are written.
func (t *tableChunk) end() error {
	if err := t.flush(); err != nil {
		return err
	}
	return t.writing.Wait()
}

// stop waits for what is being written; for a file that nobody will need.
func (t *tableChunk) stop() { _ = t.writing.Wait() }

// appendName adds a text that stands in many rows to a column.
func (t *tableChunk) appendName(column int, name string) {
	t.names[column].append(&t.Columns[column], name)
}

// maxNames bounds the names of a column that are kept as codes.
const maxNames = 256

// nameTable gives codes to the few texts of a column. What it knows lies in a dictionary, which is made anew with each
// text: the codes stay.
type nameTable struct {
	codes map[string]int32
	dict  *vector.Dictionary
	last  string // the text that was asked for last, and its code
	code  int32
}

func (n *nameTable) append(v *vector.Vector, name string) {
	code, ok := n.of(name)
	if !ok {
		v.Plain()
	}
	if v.Len > 0 && v.Dict == nil || !ok {
		v.AppendString([]byte(name))
		return
	}
	v.Dict = n.dict
	v.AppendCode(code)
}

// of returns the code of a name; false if there are too many to have codes.
func (n *nameTable) of(name string) (code int32, ok bool) {
	if n.dict != nil && name == n.last {
		return n.code, true
	}
	if code, ok = n.codes[name]; !ok {
		if len(n.codes) == maxNames {
			return 0, false
		}
		if n.dict == nil {
			n.dict, n.codes = &vector.Dictionary{Offsets: []uint32{0}}, map[string]int32{}
		}
		code = int32(len(n.codes))
		n.codes[name] = code
		b := append(n.dict.Bytes[:len(n.dict.Bytes):len(n.dict.Bytes)], name...)
		n.dict = &vector.Dictionary{Bytes: b, Offsets: append(n.dict.Offsets[:code+1:code+1], uint32(len(b)))}
	}
	n.last, n.code = name, code
	return code, true
}
