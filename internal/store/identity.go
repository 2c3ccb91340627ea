package store

import (
	"context"
	"fmt"

	"github.com/lakeward/lakeward"
)

// CreateNamespace stores a custom namespace; its code is its id, so a second one is a conflict.
func (s *Store) CreateNamespace(ctx context.Context, n lakeward.Namespace) error {
	list, err := s.Namespaces(ctx, n.Sandbox)
	if err != nil {
		return err
	}
	for _, have := range list {
		if have.Code == n.Code {
			return &lakeward.Error{Kind: lakeward.Conflict, Code: "IDN-1002", Msg: fmt.Sprintf("there is a namespace %s already; codes are unique and never change", n.Code)}
		}
	}
	return s.insert(ctx, s.write, document{namespaceKind, n.Sandbox, n.Code, n.Name, n, n.CreatedAt})
}

// Namespaces lists the standard namespaces and the custom ones.
func (s *Store) Namespaces(ctx context.Context, sandbox string) ([]lakeward.Namespace, error) {
	custom, err := all[lakeward.Namespace](ctx, s, namespaceKind, sandbox)
	return append(lakeward.StandardNamespaces(), custom...), err
}
