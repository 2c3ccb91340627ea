package emulator

import "net/http"

// blobOperation is the operation of a request to the blob host; "" if it is not served.
func (q *request) blobOperation() string {
	if q.container != "" && q.path == "" && q.query.Get("restype") == "container" && q.query.Get("comp") == "" {
		return map[string]string{http.MethodPut: "fs-create", http.MethodDelete: "fs-delete", http.MethodHead: "fs-head"}[q.method()]
	}
	return ""
}
