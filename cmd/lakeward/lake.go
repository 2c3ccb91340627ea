package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake/emulator"
)

func lakeCommand(a *app) *cobra.Command {
	return group("lake", "The built-in lake: an ADLS Gen2 server on a plain folder", lakeServe(a), lakeEnv(a))
}

func lakeServe(a *app) *cobra.Command {
	var dir string
	var opt emulator.Options
	var secretFile string
	c := &cobra.Command{Use: "serve", Short: "Serve the lake until it is stopped", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		if secretFile != "" {
			b, err := a.readInput(secretFile)
			if err != nil {
				return err
			}
			opt.ClientSecret = strings.TrimRight(string(b), "\r\n")
		}
		s, err := emulator.Start(a.lakeDir(dir), opt)
		if err != nil {
			return err
		}
		e := s.Endpoints()
		fmt.Fprintf(a.env.out, "lake ready: %s\n  url      %s\n  files    %s\n  settings lakeward lake env --dir %s\n", e.HTTPS, s.Location().URL(), filepath.Join(s.Dir(), emulator.DefaultAccount, emulator.DefaultContainer), s.Dir())
		<-c.Context().Done()
		return s.Close()
	}}
	f := c.Flags()
	f.StringVar(&dir, "dir", "", "folder of the lake (default: lake in the data directory)")
	f.StringVar(&opt.Listen, "listen", "127.0.0.1:0", "address of the TLS port; port 0 picks a free one")
	f.StringVar(&opt.TenantID, "tenant", "", "tenant id (default: drawn once)")
	f.StringVar(&opt.ClientID, "client-id", "", "client id (default: drawn once)")
	f.StringVar(&secretFile, "client-secret-file", "", "file with the client secret, or - (default: drawn once)")
	return c
}

func (a *app) lakeDir(dir string) string {
	if dir == "" {
		return filepath.Join(a.settings.data, "lake")
	}
	return dir
}

func lakeEnv(a *app) *cobra.Command {
	var dir string
	var secret bool
	c := &cobra.Command{Use: "env", Short: "Print what other tools need to reach the running lake", Args: noArgs, RunE: func(*cobra.Command, []string) error {
		b, err := os.ReadFile(filepath.Join(a.lakeDir(dir), ".meta", "endpoints.json"))
		if errors.Is(err, fs.ErrNotExist) {
			return &lakeward.Error{Kind: lakeward.NotFound, Code: "LAKE-1002", Msg: "no lake is running in " + a.lakeDir(dir) + "; start it with: lakeward lake serve --dir " + a.lakeDir(dir)}
		}
		var e emulator.Endpoints
		if err = errors.Join(err, json.Unmarshal(b, &e)); err != nil {
			return fmt.Errorf("read the endpoints of the lake: %w", err)
		}
		if !secret && !terminal(a.env.out) {
			e.ClientSecret = ""
			for i := range e.Accounts {
				e.Accounts[i].Key = ""
			}
		}
		return a.print(e, func() table {
			t := table{{"AZURE_TENANT_ID=" + e.Tenant}, {"AZURE_CLIENT_ID=" + e.ClientID}, {"SSL_CERT_FILE=" + e.CA}, {"REQUESTS_CA_BUNDLE=" + e.CA}, {"NODE_EXTRA_CA_CERTS=" + e.CA}}
			if e.ClientSecret != "" {
				t = append(t, []string{"AZURE_CLIENT_SECRET=" + e.ClientSecret})
			}
			for _, acc := range e.Accounts {
				t = append(t, []string{"# " + acc.Name + ": " + acc.DFS})
			}
			return t
		})
	}}
	c.Flags().StringVar(&dir, "dir", "", "folder of the lake (default: lake in the data directory)")
	c.Flags().BoolVar(&secret, "show-secret", false, "print secrets also when the output is no terminal")
	return c
}
