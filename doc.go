// Package lakeward is the domain of Lakeward: its types and its rules, without
// any input or output. It imports the standard library only.
//
// # Words
//
// An Account holds the credentials of one storage account. A Destination is an
// account plus a folder and the way files look there. A Dataflow says which
// audiences go to a destination, with which columns and when. A Run is one
// execution for one audience and one slot (one due time); an attempt is one try
// of it. An Audience is a named set of profiles, a Dataset a named set of
// records, a Batch one upload into it. A Generation is a numbered state of the
// profile store; a run pins one. A Task is what the service does for itself beside
// the runs: an Evaluation decides the members of audiences.
//
// # The way of an export
//
//	schedule.go      a slot falls due          internal/engine/schedule.go
//	evaluation.go    its audience is evaluated internal/engine/evaluate.go
//	run.go           the run table is the queue internal/store/run.go
//	audience.go      members as a bitmap       internal/warehouse/membership.go
//	(internal/)      what changed, if asked    internal/engine/window.go
//	consent.go       who may not be written    internal/engine/consent.go
//	mapping.go       columns and exclusions    internal/engine/select.go, project.go
//	(internal/)      scan, encode, compress    internal/warehouse, encode, compress
//	manifest.go      stage, commit, publish    internal/deliver
//	(internal/)      read everything back      internal/verify
//
// Datasets go the same way, with dataset_export.go in the place of audiences and mapping.
//
// The whole of an export is readable, top to bottom, in internal/engine/export.go.
//
// # To change ...
//
//	what a user may enter     the Validate method of the noun's file here
//	how a file name is made   filename.go
//	how a file looks          internal/encode: csv.go, json.go, parquet.go
//	names and file types      format.go
//	which keys are taken      internal/encrypt/key.go
//	a calculated function     one line of a table in internal/expr/function_*.go
//	a compression format      one file and one line in internal/compress
//	what Azure errors say     internal/lake/classify.go
//	the local lake            internal/lake/emulator
//	which files are merged    internal/warehouse/compact_sizes.go
//	what is removed when      internal/store/compaction.go
//	a table or a query        internal/store, one file per noun
//	a command                 cmd/lakeward, one file per noun
//
// Rule ids such as DLV-11 or FMT-09 in comments name the rules of the product's
// specification; docs/requirements.md lists those that a test proves.
package lakeward
