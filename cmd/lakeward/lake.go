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
	var secretFile, keyFile string
	c := &cobra.Command{Use: "serve", Short: "Serve the lake until it is stopped", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		for _, f := range []struct {
			name string
			to   *string
		}{{secretFile, &opt.ClientSecret}, {keyFile, &opt.AccountKey}} {
			if f.name == "" {
				continue
			}
			b, err := a.readInput(f.name)
			if err != nil {
				return err
			}
			*f.to = strings.TrimRight(string(b), "\r\n")
		}
		s, err := emulator.Start(a.lakeDir(dir), opt)
		if err != nil {
			return err
		}
		e := s.Endpoints()
		fmt.Fprintf(a.env.out, "lake ready: %s\n  url      %s\n  files    %s\n  settings lakeward lake env --dir %s\n", e.HTTPS, s.Location().URL(), filepath.Join(s.Dir(), s.Location().Account, emulator.DefaultContainer), s.Dir())
		for _, d := range [][2]string{{"http", e.HTTP}, {"proxy", e.Proxy}, {"faults", e.Faults}} {
			if d[1] != "" {
				fmt.Fprintf(a.env.out, "  %-8s %s\n", d[0], d[1])
			}
		}
		<-c.Context().Done()
		return s.Close()
	}}
	f := c.Flags()
	f.StringVar(&dir, "dir", "", "folder of the lake (default: lake in the data directory)")
	f.StringVar(&opt.Listen, "listen", "127.0.0.1:0", "address of the TLS port; port 0 picks a free one")
	f.StringVar(&opt.HTTP, "http", "", "loopback address of a plain port, for tools without TLS")
	f.StringVar(&opt.Proxy, "proxy", "", "loopback address of a proxy for tools that insist on the service's host names")
	f.StringVar(&opt.Faults, "faults", "", "loopback address of a port that controls faults, for tests")
	f.StringArrayVar(&opt.Accounts, "account", nil, "account, NAME or NAME:flat for one without hierarchical namespace; repeatable (default local)")
	f.StringVar(&keyFile, "account-key-file", "", "file with the key of the first account, or - (default: drawn once)")
	f.StringVar(&opt.TenantID, "tenant", "", "tenant id (default: drawn once)")
	f.StringVar(&opt.ClientID, "client-id", "", "client id (default: drawn once)")
	f.StringVar(&secretFile, "client-secret-file", "", "file with the client secret, or - (default: drawn once)")
	f.BoolVar(&opt.Memory, "memory", false, "keep everything in memory, for tests; it ends with the lake")
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
		return a.print(e, func() table { return lakeLines(e) })
	}}
	c.Flags().StringVar(&dir, "dir", "", "folder of the lake (default: lake in the data directory)")
	c.Flags().BoolVar(&secret, "show-secret", false, "print secrets also when the output is no terminal")
	return c
}

// lakeLines are the settings that other tools read from their environment (ADL-132).
func lakeLines(e emulator.Endpoints) table {
	var t table
	if e.Proxy != "" {
		t = append(t, []string{"HTTPS_PROXY=" + e.Proxy})
	}
	t = append(t, []string{"SSL_CERT_FILE=" + e.CA}, []string{"REQUESTS_CA_BUNDLE=" + e.CA}, []string{"NODE_EXTRA_CA_CERTS=" + e.CA},
		[]string{"AZURE_TENANT_ID=" + e.Tenant}, []string{"AZURE_CLIENT_ID=" + e.ClientID})
	if e.ClientSecret != "" {
		t = append(t, []string{"AZURE_CLIENT_SECRET=" + e.ClientSecret})
	}
	for _, acc := range e.Accounts {
		t = append(t, []string{"# account " + acc.Name + ", path style: " + acc.DFS})
		if e.HTTP != "" {
			t = append(t, []string{"# account " + acc.Name + ", plain:      " + e.HTTP + "/" + acc.Name})
		}
	}
	return t
}
