package parquet

import (
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/lakeward/lakeward/internal/vector"
)

// describe adds the elements of a column to a schema, depth first.
func (b *branch) describe(elements *[]format.SchemaElement, name string) {
	e := format.SchemaElement{Name: name, RepetitionType: thrift.New(format.Optional)}
	if b.required {
		e.RepetitionType = thrift.New(format.Required)
	}
	group := format.SchemaElement{Name: "list", RepetitionType: thrift.New(format.Repeated), NumChildren: thrift.New(int32(len(b.below)))}
	names := []string{"element"}
	switch b.Kind {
	case vector.List:
		e.LogicalType.Value, e.ConvertedType, e.NumChildren = new(format.ListType), thrift.New(deprecated.List), thrift.New(int32(1))
		*elements = append(*elements, e, group)
	case vector.Map:
		e.LogicalType.Value, e.ConvertedType, e.NumChildren = new(format.MapType), thrift.New(deprecated.Map), thrift.New(int32(1))
		group.Name, names = "key_value", []string{"key", "value"}
		*elements = append(*elements, e, group)
	case vector.Struct:
		e.NumChildren = thrift.New(int32(len(b.below)))
		*elements = append(*elements, e)
		names = nil
		for _, f := range b.below {
			names = append(names, f.Path)
		}
	default:
		*elements = append(*elements, b.Column.element(name))
		return
	}
	for i, f := range b.below {
		f.describe(elements, names[i])
	}
}

// element describes a column in both forms of the format: readers differ in which one they believe.
func (c Column) element(name string) format.SchemaElement {
	e := format.SchemaElement{Name: name, Type: thrift.New(c.physical()), RepetitionType: thrift.New(format.Optional)}
	if c.Required {
		e.RepetitionType = thrift.New(format.Required)
	}
	switch c.Kind {
	case vector.String:
		e.LogicalType.Value, e.ConvertedType = new(format.StringType), thrift.New(deprecated.UTF8)
	case vector.Date:
		e.LogicalType.Value, e.ConvertedType = new(format.DateType), thrift.New(deprecated.Date)
	case vector.Decimal:
		e.LogicalType.Value = &format.DecimalType{Scale: int32(c.Scale), Precision: decimalDigits}
		e.ConvertedType, e.Scale, e.Precision = thrift.New(deprecated.Decimal), thrift.New(int32(c.Scale)), thrift.New(int32(decimalDigits))
	case vector.Time:
		e.LogicalType.Value = &format.TimestampType{IsAdjustedToUTC: true, Unit: format.TimeUnit{Value: new(format.MilliSeconds)}}
		e.ConvertedType = thrift.New(deprecated.TimestampMillis)
	}
	return e
}

func (c Column) physical() format.Type {
	switch c.Kind {
	case vector.String:
		return format.ByteArray
	case vector.Float:
		return format.Double
	case vector.Bool:
		return format.Boolean
	case vector.Date:
		return format.Int32
	}
	if c.Int32 {
		return format.Int32
	}
	return format.Int64
}
