package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
)

func accountCommand(a *app) *cobra.Command {
	return group("account", "Accounts: the credentials of storage accounts", accountCreate(a), accountEdit(a), accountList(a), accountShow(a), accountTest(a))
}

// keyFiles are the flags that name files with keys; a key never stands in a command line.
type keyFiles struct{ first, second string }

func (k *keyFiles) flags(f *pflag.FlagSet) {
	f.StringVar(&k.first, "key-file", "", "file with the service principal key, the certificate and its key, or the account key; or -")
	f.StringVar(&k.second, "second-key-file", "", "file with a second key, tried when the first is refused: for the time of a rotation")
}

// read returns the keys of the files that are named.
func (k *keyFiles) read(a *app) (first, second lakeward.Secret, err error) {
	if k.first == "-" && k.second == "-" {
		return first, second, usage("only one of the keys can come from standard input")
	}
	for _, f := range []struct {
		name string
		to   *lakeward.Secret
	}{{k.first, &first}, {k.second, &second}} {
		if f.name == "" {
			continue
		}
		b, err := a.readInput(f.name)
		if err != nil {
			return first, second, err
		}
		*f.to = lakeward.NewSecret(strings.TrimRight(string(b), "\r\n")) // the line's end belongs to the file, not to the key
		if !f.to.IsSet() {
			return first, second, usage("the key file %s is empty", f.name)
		}
	}
	return first, second, nil
}

// signInUsage explains --sign-in.
const signInUsage = "client-secret, certificate, workload-identity, managed-identity or account-key (default client-secret)"

func credentialFlags(f *pflag.FlagSet, acc *lakeward.Account) {
	f.StringVar(&acc.URL, "url", "", "abfss://<container>@<account>.dfs.core.windows.net")
	f.StringVar((*string)(&acc.SignIn), "sign-in", "", signInUsage)
	f.StringVar(&acc.Tenant, "tenant", "", "tenant id or domain")
	f.StringVar(&acc.ClientID, "client-id", "", "service principal ID: the application's client id")
	f.StringVar(&acc.TokenFile, "token-file", "", "file with the federated token, for workload-identity")
}

func accountCreate(a *app) *cobra.Command {
	var acc lakeward.Account
	var keys keyFiles
	var untested bool
	var encryption string
	c := &cobra.Command{Use: "create NAME --url URL [--sign-in HOW] [--tenant TENANT --client-id ID] [--key-file FILE]", Short: "Connect to a storage account and store its credentials", Args: exactly("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			if keys.first == "" && acc.SignIn.Keyed() {
				return usage("--key-file is needed: a file that holds the service principal key, or - for standard input")
			}
			var err error
			if acc.Key, acc.SecondKey, err = keys.read(a); err != nil {
				return err
			}
			if encryption != "" {
				text, err := a.readKeyText(encryption)
				if err != nil {
					return err
				}
				acc.EncryptionKey = &lakeward.EncryptionKey{PublicKey: text}
			}
			acc.Name, acc.Sandbox = args[0], a.settings.sandbox
			return a.withData(c.Context(), true, func(d *directory) error {
				created, checks, err := d.engine.CreateAccount(c.Context(), acc, untested)
				if err != nil {
					return err
				}
				return a.printAccount(created, checks)
			})
		}}
	credentialFlags(c.Flags(), &acc)
	keys.flags(c.Flags())
	c.Flags().StringVar(&encryption, "encryption-key-file", "", encryptionUsage)
	c.Flags().StringVar(&acc.Description, "description", "", "description")
	c.Flags().BoolVar(&untested, "untested", false, "store without trying the connection")
	return c
}

// encryptionUsage explains --encryption-key-file.
const encryptionUsage = "file with an OpenPGP public key (-----BEGIN PGP PUBLIC KEY BLOCK-----), to which every exported file is encrypted; or -"

// readKeyText returns the text of a public key.
func (a *app) readKeyText(name string) (string, error) {
	b, err := a.readInput(name)
	if err == nil && len(b) == 0 {
		err = usage("the key file %s is empty", name)
	}
	return string(b), err
}

// accountEdit changes what is named; the rest stays.
func accountEdit(a *app) *cobra.Command {
	var acc lakeward.Account
	var keys keyFiles
	var untested, dropEncryption bool
	var encryption string
	var x engine.AccountEdit
	c := &cobra.Command{Use: "edit NAME", Short: "Change an account; the connection is tried with what is new before it is stored", Args: exactly("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if x.Key, x.SecondKey, err = keys.read(a); err != nil {
				return err
			}
			for flag, field := range map[string]struct {
				to   **string
				from *string
			}{"url": {&x.URL, &acc.URL}, "tenant": {&x.Tenant, &acc.Tenant}, "client-id": {&x.ClientID, &acc.ClientID}, "token-file": {&x.TokenFile, &acc.TokenFile},
				"name": {&x.Name, &acc.Name}, "description": {&x.Description, &acc.Description}} {
				if c.Flags().Changed(flag) {
					*field.to = field.from
				}
			}
			if err := a.encryptionEdit(&x, encryption, dropEncryption); err != nil {
				return err
			}
			if c.Flags().Changed("sign-in") {
				x.SignIn = &acc.SignIn
			}
			return a.withData(c.Context(), true, func(d *directory) error {
				edited, checks, err := d.engine.EditAccount(c.Context(), a.settings.sandbox, args[0], x, untested)
				if err != nil {
					return err
				}
				return a.printAccount(edited, checks)
			})
		}}
	credentialFlags(c.Flags(), &acc)
	keys.flags(c.Flags())
	c.Flags().StringVar(&acc.Name, "name", "", "new name")
	c.Flags().StringVar(&acc.Description, "description", "", "description")
	c.Flags().StringVar(&encryption, "encryption-key-file", "", encryptionUsage)
	c.Flags().BoolVar(&dropEncryption, "drop-encryption-key", false, "leave files plain from the next run on")
	c.Flags().BoolVar(&x.DropSecondKey, "drop-second-key", false, "forget the second key: the rotation is over")
	c.Flags().BoolVar(&untested, "untested", false, "store without trying the connection")
	return c
}

// encryptionEdit notes a new encryption key, or that there is none any more.
func (a *app) encryptionEdit(x *engine.AccountEdit, file string, drop bool) error {
	if drop && file != "" {
		return usage("--drop-encryption-key and --encryption-key-file exclude each other")
	}
	text := ""
	if file != "" {
		var err error
		if text, err = a.readKeyText(file); err != nil {
			return err
		}
	}
	if drop || file != "" {
		x.EncryptionKey = &text
	}
	return nil
}

func (a *app) printAccount(acc lakeward.Account, checks []lakeward.Check) error {
	if acc.SignIn == lakeward.AccountKey {
		fmt.Fprintln(a.env.err, lakeward.AccountKeyWarning)
	}
	if acc.EncryptionKey != nil {
		a.warn(acc.EncryptionKey.Warnings(time.Now()))
	}
	return a.print(acc, func() table { return append(accountTable(acc), checkRows(checks)...) })
}

func accountList(a *app) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the accounts", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			list, err := d.store.Accounts(c.Context(), a.settings.sandbox)
			if err != nil {
				return err
			}
			return a.print(list, func() table {
				t := table{{"NAME", "URL", "STATE", "ID"}}
				for _, acc := range list {
					t = append(t, []string{acc.Name, acc.URL, string(acc.State), string(acc.ID)})
				}
				return t
			})
		})
	}}
}

func accountShow(a *app) *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "Show an account; its key is never shown", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			acc, err := d.store.Account(c.Context(), a.settings.sandbox, args[0])
			if err != nil {
				return err
			}
			return a.print(acc, func() table { return accountTable(acc) })
		})
	}}
}

func accountTest(a *app) *cobra.Command {
	return &cobra.Command{Use: "test NAME", Short: "Try the connection of an account: token and container", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			_, checks, err := d.engine.TestAccount(c.Context(), a.settings.sandbox, args[0])
			if err != nil {
				return err
			}
			return a.print(checks, func() table { return checkRows(checks) })
		})
	}}
}

func accountTable(acc lakeward.Account) table {
	t := pairs("Account", acc.Name, "Id", string(acc.ID), "URL", acc.URL, "Sign-in", string(acc.SignIn), "Tenant", acc.Tenant, "Service principal", acc.ClientID, "State", string(acc.State), "Tested", timeText(acc.TestedAt))
	if k := acc.EncryptionKey; k != nil {
		t = append(t, []string{"Encryption key:", k.Algorithm + " " + k.Fingerprint})
		if k.ExpiresAt != nil {
			t = append(t, []string{"Key expires:", timeText(k.ExpiresAt)})
		}
	}
	if acc.SecondKeyInfo.Set {
		t = append(t, []string{"Second key:", "set " + timeText(&acc.SecondKeyInfo.UpdatedAt)})
	}
	if acc.StateCause != "" {
		t = append(t, []string{"Cause:", acc.StateCause})
	}
	return t
}

func checkRows(checks []lakeward.Check) table {
	var t table
	for _, c := range checks {
		result := "ok"
		if !c.OK {
			result = "failed"
		}
		t = append(t, []string{c.ID, c.Name, result, c.Detail})
	}
	return t
}
