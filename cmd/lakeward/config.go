package main

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake"
)

// settings are the values that every command knows: flag, then environment, then the default.
type settings struct {
	data    string
	sandbox string
	output  string
	json    bool
	config  string
}

// setting is one row of the table below.
type setting struct {
	flag, env, value, usage string
	target                  func(*settings) *string
}

// settingTable lists every setting; it makes the flags, reads the environment and prints the documentation.
func settingTable() []setting {
	return []setting{
		{"data", "LAKEWARD_DATA", "./lakeward-data", "data directory", func(s *settings) *string { return &s.data }},
		{"sandbox", "LAKEWARD_SANDBOX", lakeward.DefaultSandbox, "sandbox", func(s *settings) *string { return &s.sandbox }},
		{"output", "LAKEWARD_OUTPUT", "table", "form of the output: table, json, yaml or csv", func(s *settings) *string { return &s.output }},
		{"config", "LAKEWARD_CONFIG", "", "configuration file (default: lakeward.yaml in the data directory, if there)", func(s *settings) *string { return &s.config }},
	}
}

// register adds the settings as flags of all commands.
func (s *settings) register(root *cobra.Command, getenv func(string) string) {
	for _, row := range settingTable() {
		value := row.value
		if v := getenv(row.env); v != "" {
			value = v
		}
		root.PersistentFlags().StringVar(row.target(s), row.flag, value, row.usage+" ["+row.env+"]")
	}
	root.PersistentFlags().BoolVar(&s.json, "json", false, "the same as --output json")
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return s.check() }
}

func (s *settings) check() error {
	if s.json {
		s.output = "json"
	}
	switch s.output {
	case "table", "json", "yaml", "csv":
	default:
		return usage("--output is table, json, yaml or csv, not %q", s.output)
	}
	if s.data == "" {
		return usage("--data names a directory; leave it out for ./lakeward-data")
	}
	if s.sandbox != lakeward.DefaultSandbox { // a misspelled one would look empty
		return &lakeward.Error{Kind: lakeward.NotFound, Code: "NOTFOUND-1001", Msg: "there is no sandbox " + lakeward.Quote(s.sandbox) + "; this version has one, " + lakeward.DefaultSandbox}
	}
	return nil
}

// fileConfig is the configuration file.
type fileConfig struct {
	Endpoints map[string]struct {
		Address string `yaml:"address"`
		CA      string `yaml:"ca"` // path of a PEM file
	} `yaml:"endpoints"`
	Network struct {
		AllowPrivate []string `yaml:"allowPrivate"`
		CA           string   `yaml:"ca"`
	} `yaml:"network"`
	Schedules struct {
		ExtendedFrequencies bool `yaml:"extendedFrequencies"` // weekly and monthly (D02)
	} `yaml:"schedules"`
}

// readConfig reads the configuration file; a missing one is empty unless it was named.
func (s *settings) readConfig() (fileConfig, error) {
	var c fileConfig
	name := s.config
	if name == "" {
		name = filepath.Join(s.data, "lakeward.yaml")
	}
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) && s.config == "" {
		return c, nil
	}
	if err != nil {
		return c, fileError(name, err)
	}
	if err := yaml.UnmarshalWithOptions(b, &c, yaml.Strict()); err != nil {
		return c, &lakeward.Error{Kind: lakeward.Invalid, Code: "CONF-1001", Msg: "the configuration file " + name + " is not accepted:\n" + yaml.FormatError(err, false, true)}
	}
	return c, nil
}

// network turns the file's settings into those of the client.
func (c fileConfig) network() (map[string]lake.Endpoint, lake.Network, error) {
	endpoints := map[string]lake.Endpoint{}
	for host, e := range c.Endpoints {
		if _, err := netip.ParseAddrPort(e.Address); err != nil {
			return nil, lake.Network{}, &lakeward.Error{Kind: lakeward.Invalid, Code: "CONF-1002", Msg: "endpoints: the address of " + lakeward.Quote(host) + " is IP:port"}
		}
		ca, err := readCA(e.CA)
		if err != nil {
			return nil, lake.Network{}, err
		}
		endpoints[strings.ToLower(host)] = lake.Endpoint{Address: e.Address, CA: ca}
	}
	var n lake.Network
	for _, text := range c.Network.AllowPrivate {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, n, &lakeward.Error{Kind: lakeward.Invalid, Code: "CONF-1002", Msg: "network.allowPrivate: " + lakeward.Quote(text) + " is not a network such as 10.0.0.0/8"}
		}
		n.AllowPrivate = append(n.AllowPrivate, p)
	}
	ca, err := readCA(c.Network.CA)
	n.CA = ca
	return endpoints, n, err
}

func readCA(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	return b, nil
}

// fileError says that a file of the user cannot be read.
func fileError(name string, err error) error {
	why := "it cannot be read"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		why = "there is no such file"
	case errors.Is(err, fs.ErrPermission):
		why = "you may not read it"
	}
	return &lakeward.Error{Kind: lakeward.Invalid, Code: "FILE-1001", Msg: name + ": " + why, Err: err}
}
