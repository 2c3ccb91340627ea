package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake/emulator"
)

const (
	defaultListen = "127.0.0.1:8600"
	retryWindow   = 2 * time.Hour
	stopWithin    = 30 * time.Second
)

func serveCommand(a *app) *cobra.Command {
	var s service
	c := &cobra.Command{Use: "serve", Short: "Run the service: scheduler, workers, /healthz", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		return a.serve(c.Context(), s)
	}}
	c.Flags().StringVar(&s.listen, "listen", defaultListen, "address; port 0 picks a free one")
	c.Flags().BoolVar(&s.lake, "lake", false, "also serve the built-in lake in the data directory")
	return c
}

// service says what a process serves.
type service struct {
	listen string
	lake   bool
	// before runs with the open directory before the scheduler starts.
	before func(ctx context.Context, d *directory) error
}

// ready is the line that serve --json prints when it is ready.
type ready struct {
	URL     string              `json:"url"`
	DataDir string              `json:"dataDir"`
	Lake    *emulator.Endpoints `json:"lake,omitempty"`
}

// serve wires everything, top to bottom, and runs it until the context ends.
func (a *app) serve(ctx context.Context, s service) (err error) {
	log := slog.New(slog.NewJSONHandler(a.env.err, nil))
	ln, err := net.Listen("tcp", s.listen)
	if err != nil {
		return &lakeward.Error{Kind: lakeward.Unavailable, Code: "SERVE-1001", Msg: "the service cannot listen on " + s.listen + "; choose another address with --listen", Err: err}
	}
	defer ln.Close()
	line := ready{URL: "http://" + ln.Addr().String(), DataDir: a.settings.data}
	d, err := a.open(ctx, openOptions{create: true, command: "service", address: line.URL, log: log, window: retryWindow, lake: s.lake})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if d.lake != nil {
		shown := d.lake.Endpoints()
		shown.ClientSecret, shown.Accounts = "", nil
		line.Lake = &shown
	}
	if s.before != nil {
		if err := s.before(ctx, d); err != nil {
			return err
		}
	}
	web := &http.Server{Handler: routes(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10}
	served := make(chan error, 1)
	go func() { served <- web.Serve(ln) }()
	if err := a.announce(line); err != nil {
		return err
	}
	log.InfoContext(ctx, "service ready", "url", line.URL, "data", a.settings.data, "version", version)
	err = d.engine.Serve(ctx)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	err = errors.Join(err, web.Shutdown(stop))
	if werr := <-served; !errors.Is(werr, http.ErrServerClosed) {
		err = errors.Join(err, werr)
	}
	log.InfoContext(ctx, "service stopped")
	return err
}

func (a *app) announce(line ready) error {
	if a.settings.output == "json" {
		return json.NewEncoder(a.env.out).Encode(line)
	}
	_, err := fmt.Fprintf(a.env.out, "serving %s\n  data     %s\n  stop it  Ctrl-C\n", line.URL, line.DataDir)
	return err
}

// routes are the endpoints of the service.
func routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = io.WriteString(w, "ok\n")
	})
	return mux
}
