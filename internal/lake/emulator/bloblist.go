package emulator

import (
	"encoding/base64"
	"encoding/xml"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lakeward/lakeward"
)

// blobList is the answer to a listing of the blob interface, in the order of its elements.
type blobList struct {
	XMLName   xml.Name `xml:"EnumerationResults"`
	Endpoint  string   `xml:"ServiceEndpoint,attr"`
	Container string   `xml:"ContainerName,attr"`
	Prefix    string   `xml:"Prefix,omitempty"`
	Marker    string   `xml:"Marker,omitempty"`
	Most      int      `xml:"MaxResults,omitempty"`
	Delimiter string   `xml:"Delimiter,omitempty"`
	Blobs     struct {
		Files    []blobEntry  `xml:"Blob"`
		Prefixes []blobPrefix `xml:"BlobPrefix"`
	}
	Next string `xml:"NextMarker"`
}

type blobEntry struct {
	Name       string
	Properties blobProperties
	Metadata   *blobMetadata
}

type blobPrefix struct {
	Name       string
	Properties blobProperties
}

type blobProperties struct {
	Created   string `xml:"Creation-Time"`
	Modified  string `xml:"Last-Modified"`
	ETag      string `xml:"Etag"`
	Kind      string `xml:"ResourceType,omitempty"`
	Size      int64  `xml:"Content-Length"`
	Type      string `xml:"Content-Type,omitempty"`
	Encoding  string `xml:"Content-Encoding,omitempty"`
	BlobType  string `xml:"BlobType,omitempty"`
	Tier      string `xml:"AccessTier,omitempty"`
	Lease     string `xml:"LeaseStatus,omitempty"`
	State     string `xml:"LeaseState,omitempty"`
	Encrypted bool   `xml:"ServerEncrypted"`
}

// blobMetadata has an element for each key.
type blobMetadata struct {
	Entries []metadataEntry
}

type metadataEntry struct {
	XMLName xml.Name
	Value   string `xml:",chardata"`
}

// listBlobs answers with a page of files and folders by prefix; with a delimiter only with one level,
// whose folders are prefixes (ADL-115).
func (c *container) listBlobs(q *request) (*answer, *apiError) {
	out := blobList{Endpoint: "https://" + q.account + ".blob." + lakeward.EmulatorSuffix + "/", Container: c.name,
		Prefix: q.query.Get("prefix"), Marker: q.query.Get("marker"), Delimiter: q.query.Get("delimiter")}
	if out.Delimiter != "" && out.Delimiter != "/" {
		return nil, refuse("InvalidQueryParameterValue")
	}
	most, aerr := q.most("maxresults", defaultPage)
	if aerr != nil {
		return nil, aerr
	}
	out.Most, _ = strconv.Atoi(q.query.Get("maxresults")) // shown as it was asked for, 0 if it was not
	after, derr := base64.RawURLEncoding.DecodeString(out.Marker)
	if derr != nil {
		return nil, refuse("InvalidQueryParameterValue")
	}
	if err := c.rlock(); err != nil {
		return nil, err
	}
	defer c.mu.RUnlock()
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(c.blobNames(out.Prefix, out.Delimiter))), func(n string) bool { return n <= string(after) && out.Marker != "" })
	if len(names) > most {
		names = names[:most]
		out.Next = base64.RawURLEncoding.EncodeToString([]byte(names[most-1]))
	}
	withMetadata := slices.Contains(strings.Split(q.query.Get("include"), ","), "metadata")
	for _, name := range names {
		n := c.nodes[strings.TrimSuffix(name, "/")]
		if strings.HasSuffix(name, "/") {
			out.Blobs.Prefixes = append(out.Blobs.Prefixes, blobPrefix{name, n.blobProperties()})
			continue
		}
		e := blobEntry{Name: name, Properties: n.blobProperties()}
		if withMetadata {
			e.Metadata = n.blobMetadata()
		}
		out.Blobs.Files = append(out.Blobs.Files, e)
	}
	return newAnswer(http.StatusOK).xml(out)
}

// blobNames are the names that a listing shows; with a delimiter, folders end in it.
func (c *container) blobNames(prefix, delimiter string) map[string]bool {
	out := map[string]bool{}
	for p, n := range c.nodes {
		rest, ok := strings.CutPrefix(p, prefix)
		switch {
		case !ok:
		case delimiter == "":
			out[p] = true
		case strings.Contains(rest, delimiter): // its folder is a name of its own
		case n.Dir:
			out[p+delimiter] = true
		default:
			out[p] = true
		}
	}
	return out
}

func (n *node) blobProperties() blobProperties {
	p := blobProperties{Created: n.Created.UTC().Format(http.TimeFormat), Modified: n.Modified.UTC().Format(http.TimeFormat), ETag: n.ETag, Kind: "file", Size: n.Size,
		Type: n.Content["Content-Type"], Encoding: n.Content["Content-Encoding"], BlobType: "BlockBlob", Tier: "Hot", Lease: "unlocked", State: n.Lease.state(time.Now()), Encrypted: true}
	if n.Dir {
		p.Kind = "directory"
	}
	if n.Blob.Tier != "" {
		p.Tier = n.Blob.Tier
	}
	if n.Lease.active(time.Now()) {
		p.Lease = "locked"
	}
	return p
}

func (n *node) blobMetadata() *blobMetadata {
	values, m := n.metadata(), &blobMetadata{}
	if n.Dir {
		values["hdi_isfolder"] = "true"
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`).MatchString(key) {
			continue // no name for an element
		}
		m.Entries = append(m.Entries, metadataEntry{xml.Name{Local: strings.ToLower(key)}, values[key]})
	}
	return m
}
