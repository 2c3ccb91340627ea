package warehouse

import (
	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

// fileCursor reads columns of a file front to back; the first one is the number of a profile, ascending.
type fileCursor struct {
	table  *table
	reader *parquet.Reader
	data   lakeward.DataFile
	cols   []vector.Vector // of rows
	rows   []int64         // of the file, at hand
	start  int64           // the first of them
	at     int             // the current one in cols
	owner  bool            // of the table, which it opened
}

// open opens a file and starts reading columns at its front. Close it also after an error.
func (c *fileCursor) open(w *Warehouse, d lakeward.DataFile, columns []parquet.Column) error {
	t, err := w.open(d)
	if err != nil {
		return err
	}
	c.owner = true
	return c.begin(t, d, columns)
}

// begin starts reading columns at the front of a file that another one opened.
func (c *fileCursor) begin(t *table, d lakeward.DataFile, columns []parquet.Column) (err error) {
	c.table, c.data, c.cols = t, d, make([]vector.Vector, len(columns))
	if c.reader, err = t.ReaderOf(columns); err != nil {
		return sourceError(d, err)
	}
	return nil
}

// from starts reading columns of the file of another cursor at a number.
func (c *fileCursor) from(o *fileCursor, columns []parquet.Column, number uint32) error {
	start, err := firstRow(o.table, o.data.Rows, number)
	if err != nil {
		return sourceError(o.data, err)
	}
	c.start = start
	return c.begin(o.table, o.data, columns)
}

// more makes sure that there is a current row; false at the end of the file.
func (c *fileCursor) more() (bool, error) {
	if c.at < len(c.rows) {
		return true, nil
	}
	c.start += int64(len(c.rows))
	c.rows, c.at = c.rows[:0], 0
	for row := c.start; row < c.data.Rows && len(c.rows) < vector.MaxRows; row++ {
		c.rows = append(c.rows, row)
	}
	if len(c.rows) == 0 {
		return false, nil
	}
	if err := c.reader.Gather(c.rows, c.cols); err != nil {
		return false, sourceError(c.data, err)
	}
	return true, nil
}

// toProfile skips the rows of profiles before a number; ok says that the next one is its.
func (c *fileCursor) toProfile(number uint32) (ok bool, err error) {
	for {
		ok, err := c.more()
		if err != nil || !ok {
			return false, err
		}
		if n := uint32(c.cols[0].Ints[c.at]); n >= number {
			return n == number, nil
		}
		c.at++
	}
}

// close releases the reader, and the file if it is its own.
func (c *fileCursor) close() {
	if c.reader != nil {
		_ = c.reader.Close()
	}
	if c.owner {
		_ = c.table.Close()
	}
}

// firstRow is a row of a file sorted by number, at which reading finds all rows from a number on, and few before them.
func firstRow(t *table, rows int64, number uint32) (int64, error) {
	low, high := int64(0), (rows-1)/vector.MaxRows // the block whose first row is less than number, the last one that may be
	column := []parquet.Column{{Path: "number", Kind: vector.Int}}
	found := make([]vector.Vector, 1)
	for low < high && number > 0 {
		middle := (low + high + 1) / 2
		r, err := t.ReaderOf(column)
		if err != nil {
			return 0, err
		}
		err = r.Gather([]int64{middle * vector.MaxRows}, found)
		if cerr := r.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return 0, err
		}
		if uint32(found[0].Ints[0]) < number {
			low = middle
		} else {
			high = middle - 1
		}
	}
	if number == 0 {
		return 0, nil
	}
	return low * vector.MaxRows, nil
}
