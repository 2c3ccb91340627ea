package emulator

import (
	"encoding/base64"
	"encoding/xml"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/lakeward/lakeward"
)

// accountProperties tells the kind of the account (ADL-115).
func (s *Server) accountProperties(q *request) (*answer, *apiError) {
	return newAnswer(http.StatusOK).set("x-ms-sku-name", "Standard_LRS", "x-ms-account-kind", "StorageV2",
		"x-ms-is-hns-enabled", strconv.FormatBool(!s.account(q.account).Flat)), nil
}

// containerList is the answer to a listing of containers.
type containerList struct {
	XMLName    xml.Name         `xml:"EnumerationResults"`
	Endpoint   string           `xml:"ServiceEndpoint,attr"`
	Prefix     string           `xml:"Prefix,omitempty"`
	Marker     string           `xml:"Marker,omitempty"`
	Most       int              `xml:"MaxResults,omitempty"`
	Containers []containerEntry `xml:"Containers>Container"`
	Next       string           `xml:"NextMarker"`
}

type containerEntry struct {
	Name       string
	Properties struct {
		Modified string `xml:"Last-Modified"`
		ETag     string `xml:"Etag"`
		Status   string `xml:"LeaseStatus"`
		State    string `xml:"LeaseState"`
		Public   string `xml:"PublicAccess,omitempty"`
	}
	Metadata *blobMetadata
}

// listContainers answers with a page of containers as the blob interface shows them.
func (s *Server) listContainers(q *request) (*answer, *apiError) {
	out := containerList{Endpoint: "https://" + q.account + ".blob." + lakeward.EmulatorSuffix + "/", Prefix: q.query.Get("prefix"), Marker: q.query.Get("marker"), Containers: []containerEntry{}}
	most, err := q.most("maxresults", defaultPage)
	if err != nil {
		return nil, err
	}
	out.Most, _ = strconv.Atoi(q.query.Get("maxresults"))
	after, derr := base64.RawURLEncoding.DecodeString(out.Marker)
	if derr != nil {
		return nil, refuse("InvalidQueryParameterValue")
	}
	names := s.containerNames(q.account, out.Prefix, string(after))
	if len(names) > most {
		names = names[:most]
		out.Next = base64.RawURLEncoding.EncodeToString([]byte(names[most-1]))
	}
	withMetadata := slices.Contains(strings.Split(q.query.Get("include"), ","), "metadata")
	for _, name := range names {
		c := s.container(q.account, name)
		if c == nil {
			continue
		}
		c.mu.RLock()
		e := containerEntry{Name: name}
		e.Properties.Modified, e.Properties.ETag = c.self.Modified.UTC().Format(http.TimeFormat), c.self.ETag
		e.Properties.Status, e.Properties.State, e.Properties.Public = "unlocked", c.self.Lease.state(q.now), c.self.Blob.Public
		if c.self.Lease.active(q.now) {
			e.Properties.Status = "locked"
		}
		if withMetadata {
			n := node{Properties: c.self.Properties}
			e.Metadata = n.blobMetadata()
		}
		c.mu.RUnlock()
		out.Containers = append(out.Containers, e)
	}
	return newAnswer(http.StatusOK).xml(out)
}

// containerNames are the names of an account's containers with a prefix, behind a name, sorted.
func (s *Server) containerNames(account, prefix, after string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for key := range s.containers {
		name, ok := strings.CutPrefix(key, account+"/")
		if ok && strings.HasPrefix(name, prefix) && name > after {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// defaultService is what an account says of its service before anybody set it.
const defaultService = `<StorageServiceProperties><Logging><Version>1.0</Version><Delete>false</Delete><Read>false</Read><Write>false</Write><RetentionPolicy><Enabled>false</Enabled></RetentionPolicy></Logging>` +
	`<HourMetrics><Version>1.0</Version><Enabled>false</Enabled><RetentionPolicy><Enabled>false</Enabled></RetentionPolicy></HourMetrics>` +
	`<MinuteMetrics><Version>1.0</Version><Enabled>false</Enabled><RetentionPolicy><Enabled>false</Enabled></RetentionPolicy></MinuteMetrics>` +
	`<Cors /><DeleteRetentionPolicy><Enabled>false</Enabled></DeleteRetentionPolicy><StaticWebsite><Enabled>false</Enabled></StaticWebsite></StorageServiceProperties>`

// getService tells the settings of the account's blob service: those that were set, none of which has an effect here.
func (s *Server) getService(q *request) (*answer, *apiError) {
	text := s.account(q.account).Service
	if text == "" {
		text = defaultService
	}
	a := newAnswer(http.StatusOK).set("Content-Type", "application/xml")
	a.body = []byte(xml.Header + text)
	return a, nil
}

// setService keeps the settings of the account's blob service.
func (s *Server) setService(q *request) (*answer, *apiError) {
	body, err := io.ReadAll(io.LimitReader(q.Body, maxSmallXML))
	var doc struct {
		XMLName xml.Name `xml:"StorageServiceProperties"`
		Inner   string   `xml:",innerxml"`
	}
	if err != nil || xml.Unmarshal(body, &doc) != nil {
		return nil, refuse("InvalidXmlDocument")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conf.account(q.account).Service = "<StorageServiceProperties>" + doc.Inner + "</StorageServiceProperties>"
	if err := saveJSON(s.root, configName, s.conf); err != nil {
		return nil, diskError(err)
	}
	return newAnswer(http.StatusAccepted), nil
}
