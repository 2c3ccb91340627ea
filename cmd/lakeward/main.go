// Command lakeward is the program: demo, service, local lake and every command.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	_ "time/tzdata" // for machines without time zones

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lakeward/lakeward"
)

// version is set when the program is built: -ldflags "-X main.version=1.2.3".
var version = "dev"

// garbagePercent is what the heap may grow by before it is collected. The work is done in buffers that live long and makes
// little garbage, so that half of the usual growth costs no time that can be measured and saves a quarter of the memory.
const garbagePercent = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() { // a second signal ends at once
		<-ctx.Done()
		stop()
	}()
	os.Exit(run(ctx, os.Args[1:], environment{os.Getenv, os.Stdin, os.Stdout, os.Stderr}))
}

// environment is what the program sees of the world, so that a test can start the whole program.
type environment struct {
	getenv func(string) string
	in     io.Reader
	out    io.Writer
	err    io.Writer
}

// The exit codes (architecture.md 8).
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInvalid     = 3
	exitDenied      = 4
	exitNotFound    = 5
	exitConflict    = 6
	exitUnavailable = 7
)

// run is main without the globals. It returns the exit code.
func run(ctx context.Context, args []string, env environment) int {
	root := newRoot(&app{env: env})
	root.SetArgs(args)
	root.SetIn(env.in)
	root.SetOut(env.out)
	root.SetErr(env.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	code := exitCode(err)
	switch {
	case errors.Is(err, context.Canceled) || ctx.Err() != nil:
		fmt.Fprintln(env.err, "stopped; nothing was left half-written")
		return exitFailed
	case errors.Is(err, errReported):
	case code == exitUsage:
		fmt.Fprintf(env.err, "error: %v\nSee: lakeward %s--help\n", err, commandPath(root, args))
	default:
		fmt.Fprintln(env.err, "error: "+userText(err))
	}
	return code
}

// errReported ends a command as failed whose output has said why already.
var errReported = errors.New("failed")

// usageError is a command that was called wrongly.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usage(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

func exitCode(err error) int {
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*lakeward.Error](err); !ok && strings.HasPrefix(err.Error(), "unknown command") {
		return exitUsage
	}
	switch lakeward.KindOf(err) {
	case lakeward.Invalid:
		return exitInvalid
	case lakeward.Denied, lakeward.Unauthenticated:
		return exitDenied
	case lakeward.NotFound:
		return exitNotFound
	case lakeward.Conflict:
		return exitConflict
	case lakeward.Unavailable:
		return exitUnavailable
	}
	return exitFailed
}

// userText is what a person at the command line is told. There is no log to look at, so an error that
// nobody classified is shown as it is.
func userText(err error) string {
	if e, ok := errors.AsType[*lakeward.Error](err); ok {
		if e.Kind == lakeward.Internal && e.Err != nil {
			return e.Error()
		}
		return e.Text()
	}
	return err.Error()
}

func commandPath(root *cobra.Command, args []string) string {
	c, _, err := root.Find(args)
	if err != nil || c == root {
		return ""
	}
	return strings.TrimPrefix(c.CommandPath(), "lakeward ") + " "
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "lakeward",
		Short:         "Deliver audiences and datasets to Azure Data Lake Storage Gen2, provably complete",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{plainFlagError(err)} })
	a.settings.register(root, a.env.getenv)
	root.AddCommand(demoCommand(a), doctorCommand(a), serveCommand(a), lakeCommand(a), accountCommand(a), destinationCommand(a), dataflowCommand(a), audienceCommand(a), exportCommand(a), explainCommand(a),
		datasetCommand(a), dataCommand(a), schemaCommand(a), namespaceCommand(a), profileCommand(a), mergePolicyCommand(a), runCommand(a), taskCommand(a), versionCommand(a))
	return root
}

// plainFlagError takes the parser's own words out of an error about a flag.
func plainFlagError(err error) error {
	invalid, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	kind := map[string]string{"int": "a whole number", "int64": "a whole number", "bool": "true or false", "duration": "a duration such as 90s"}[invalid.GetFlag().Value.Type()]
	if kind == "" {
		return err
	}
	return fmt.Errorf("--%s takes %s, not %q", invalid.GetFlag().Name, kind, invalid.GetValue())
}

// group is a command that only holds others.
func group(use, short string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		return usage("a verb is needed: lakeward %s %s", use, verbs(children))
	}}
	c.AddCommand(children...)
	return c
}

func verbs(list []*cobra.Command) string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = c.Name()
	}
	return strings.Join(names, "|")
}

// noArgs and exactly refuse with the exit code of usage.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, child := range c.Commands() {
		names = append(names, child.Name())
	}
	if near := lakeward.Suggestion(args[0], names); near != "" {
		return usage("unknown command or argument %q for %s; %s", args[0], c.CommandPath(), near)
	}
	return usage("unknown command or argument %q for %s", args[0], c.CommandPath())
}

func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return usage("%s takes %d arguments (%s), not %d", c.CommandPath(), len(names), strings.Join(names, ", "), len(args))
		}
		return nil
	}
}

func atLeast(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < n {
			return usage("%s needs %s", c.CommandPath(), what)
		}
		return nil
	}
}

func versionCommand(a *app) *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: noArgs, RunE: func(*cobra.Command, []string) error {
		return a.print(map[string]string{"version": version}, func() table { return table{{"lakeward " + version}} })
	}}
}
