package emulator

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	blobs "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/datalakeerror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/directory"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/file"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/filesystem"
	sdklease "github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/lease"

	"github.com/lakeward/lakeward"
)

// sdk is the vendor's own Go client on a new lake: the judge of what the lake answers.
func sdk(t *testing.T) *filesystem.Client {
	fs, _ := sdks(t)
	return fs
}

// sdks are the clients of both interfaces on the same container.
func sdks(t *testing.T) (*filesystem.Client, *blobs.Client) {
	t.Helper()
	s, err := Start(t.TempDir(), Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	transport := reach(s)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Errorf("close the lake: %v", err)
		}
	})
	a := s.account(DefaultAccount)
	key, err := azdatalake.NewSharedKeyCredential(a.Name, a.Key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := filesystem.NewClientWithSharedKeyCredential("https://"+a.Name+".dfs."+lakeward.EmulatorSuffix+"/from-sdk", key,
		&filesystem.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: &http.Client{Transport: transport}, Retry: policy.RetryOptions{MaxRetries: -1}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	blobKey, err := blobs.NewSharedKeyCredential(a.Name, a.Key)
	if err != nil {
		t.Fatal(err)
	}
	list, err := blobs.NewClientWithSharedKeyCredential("https://"+a.Name+".blob."+lakeward.EmulatorSuffix+"/from-sdk", blobKey,
		&blobs.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: &http.Client{Transport: transport}, Retry: policy.RetryOptions{MaxRetries: -1}}})
	if err != nil {
		t.Fatal(err)
	}
	return c, list
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestVendorClientADL115 works with files as users' tools do: part of each call goes to the blob host.
func TestVendorClientADL115(t *testing.T) {
	names := map[string]string{"plain": "part-0.csv", "spaces and letters": "Kunden März 100 % 汉字.csv", "marks": "a+b&c=d#e?f.csv", "a folder that is not there": "new/folder/part-0.csv"}
	for label, name := range names {
		t.Run(label, func(t *testing.T) {
			ctx, fs := t.Context(), sdk(t)
			data := make([]byte, 300_000)
			random := rand.NewChaCha8([32]byte{1})
			_, _ = random.Read(data)
			f := fs.NewFileClient(name)
			_, err := f.Create(ctx, nil)
			must(t, err)
			must(t, f.UploadBuffer(ctx, data, &file.UploadBufferOptions{ChunkSize: 70_000, Concurrency: 1, HTTPHeaders: &file.HTTPHeaders{ContentType: to.Ptr("text/csv")}}))
			p, err := f.GetProperties(ctx, nil)
			must(t, err)
			if *p.ContentLength != int64(len(data)) || *p.ContentType != "text/csv" || *p.ResourceType != "file" {
				t.Errorf("properties: %d bytes, %s, %s", *p.ContentLength, *p.ContentType, *p.ResourceType)
			}
			got := make([]byte, len(data))
			n, err := f.DownloadBuffer(ctx, got, &file.DownloadBufferOptions{ChunkSize: 100_000, Concurrency: 2})
			must(t, err)
			if n != int64(len(data)) || !bytes.Equal(got, data) {
				t.Error("the bytes read are not those written")
			}
			part, err := f.DownloadStream(ctx, &file.DownloadStreamOptions{Range: &file.HTTPRange{Offset: 10, Count: 20}, RangeGetContentMD5: to.Ptr(true)})
			must(t, err)
			b, err := io.ReadAll(part.Body)
			must(t, err)
			if !bytes.Equal(b, data[10:30]) || len(part.ContentMD5) != 16 {
				t.Errorf("a range of 20 bytes came as %d, MD5 %x", len(b), part.ContentMD5)
			}
			if _, err := f.Delete(ctx, nil); err != nil {
				t.Fatal(err)
			}
			if _, err := f.DownloadStream(ctx, nil); !datalakeerror.HasCode(err, datalakeerror.PathNotFound) {
				t.Errorf("reading a deleted file: %v", err)
			}
		})
	}
}

func TestVendorClientMetadataAndHeaders(t *testing.T) {
	ctx, fs := t.Context(), sdk(t)
	f := fs.NewFileClient("a.csv")
	_, err := f.Create(ctx, nil)
	must(t, err)
	before, err := f.GetProperties(ctx, nil)
	must(t, err)
	_, err = f.SetMetadata(ctx, map[string]*string{"owner": to.Ptr("data team")}, nil)
	must(t, err)
	_, err = f.SetHTTPHeaders(ctx, file.HTTPHeaders{ContentType: to.Ptr("text/plain"), CacheControl: to.Ptr("no-cache")}, nil)
	must(t, err)
	after, err := f.GetProperties(ctx, nil)
	must(t, err)
	var owner string
	for k, v := range after.Metadata {
		if http.CanonicalHeaderKey(k) == "Owner" {
			owner = *v
		}
	}
	if owner != "data team" || *after.ContentType != "text/plain" || *after.CacheControl != "no-cache" || *after.ETag == *before.ETag {
		t.Errorf("owner %q, type %s, cache %s, etags %s and %s", owner, *after.ContentType, *after.CacheControl, *before.ETag, *after.ETag)
	}
	_, err = f.SetMetadata(ctx, nil, &file.SetMetadataOptions{AccessConditions: &file.AccessConditions{ModifiedAccessConditions: &file.ModifiedAccessConditions{IfMatch: before.ETag}}})
	if !datalakeerror.HasCode(err, datalakeerror.ConditionNotMet) {
		t.Errorf("metadata on an old etag: %v", err)
	}
}

func TestVendorClientRenameAndList(t *testing.T) {
	ctx, fs := t.Context(), sdk(t)
	for _, name := range []string{"in/b.csv", "in/a.csv", "in/deep/c.csv"} {
		_, err := fs.NewFileClient(name).Create(ctx, nil)
		must(t, err)
	}
	_, err := fs.NewFileClient("in/a.csv").Rename(ctx, "out.csv", nil)
	must(t, err)
	_, err = fs.NewFileClient("in/b.csv").Rename(ctx, "out.csv", &file.RenameOptions{AccessConditions: &file.AccessConditions{ModifiedAccessConditions: &file.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}}})
	if !datalakeerror.HasCode(err, datalakeerror.PathAlreadyExists) {
		t.Errorf("a rename onto a file that must not be there: %v", err)
	}
	var got []string
	pager := fs.NewListPathsPager(true, &filesystem.ListPathsOptions{MaxResults: to.Ptr(int32(2))})
	for pager.More() {
		page, err := pager.NextPage(ctx)
		must(t, err)
		for _, p := range page.Paths {
			got = append(got, *p.Name)
		}
	}
	want := []string{"in", "in/b.csv", "in/deep", "in/deep/c.csv", "out.csv"}
	if len(got) != len(want) {
		t.Fatalf("listed %q, want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("listed %q, want %q", got, want)
		}
	}
	d := fs.NewDirectoryClient("in")
	_, err = d.Rename(ctx, "archive", nil)
	must(t, err)
	if _, err := fs.NewFileClient("archive/deep/c.csv").GetProperties(ctx, nil); err != nil {
		t.Error(err)
	}
	_, err = fs.NewDirectoryClient("archive").Delete(ctx, &directory.DeleteOptions{})
	must(t, err)
	if _, err := fs.NewFileClient("archive/b.csv").GetProperties(ctx, nil); err == nil {
		t.Error("a file of a deleted folder is there")
	}
}

// TestVendorClientBlobListADL115 lists what DFS calls made: flat with folders, and by level.
func TestVendorClientBlobListADL115(t *testing.T) {
	ctx := t.Context()
	fs, list := sdks(t)
	for _, name := range []string{"out/b.csv", "out/a & b.csv", "out/deep/c.csv", "other.csv"} {
		_, err := fs.NewFileClient(name).Create(ctx, nil)
		must(t, err)
	}
	_, err := fs.NewFileClient("out/b.csv").SetMetadata(ctx, map[string]*string{"owner": to.Ptr("team")}, nil)
	must(t, err)
	var flat []string
	pager := list.NewListBlobsFlatPager(&blobs.ListBlobsFlatOptions{Prefix: to.Ptr("out"), MaxResults: to.Ptr(int32(2)), Include: blobs.ListBlobsInclude{Metadata: true}})
	for pager.More() {
		page, err := pager.NextPage(ctx)
		must(t, err)
		for _, b := range page.Segment.BlobItems {
			kind := ""
			if b.Metadata["hdi_isfolder"] != nil {
				kind = "/"
			}
			if owner := b.Metadata["owner"]; owner != nil {
				kind = " of " + *owner
			}
			flat = append(flat, *b.Name+kind)
		}
	}
	if want := []string{"out/", "out/a & b.csv", "out/b.csv of team", "out/deep/", "out/deep/c.csv"}; !slices.Equal(flat, want) {
		t.Errorf("flat: %q, want %q", flat, want)
	}
	var level []string
	byLevel := list.NewListBlobsHierarchyPager("/", &blobs.ListBlobsHierarchyOptions{Prefix: to.Ptr("out/")})
	for byLevel.More() {
		page, err := byLevel.NextPage(ctx)
		must(t, err)
		for _, p := range page.Segment.BlobPrefixes {
			level = append(level, *p.Name)
		}
		for _, b := range page.Segment.BlobItems {
			level = append(level, *b.Name)
		}
	}
	if want := []string{"out/deep/", "out/a & b.csv", "out/b.csv"}; !slices.Equal(level, want) {
		t.Errorf("by level: %q, want %q", level, want)
	}
}

func TestVendorClientAccessControl(t *testing.T) {
	ctx, fs := t.Context(), sdk(t)
	d := fs.NewDirectoryClient("team")
	_, err := d.Create(ctx, nil)
	must(t, err)
	const acl = "user::rwx,user:11111111-2222-3333-4444-555555555555:r-x,group::r-x,mask::r-x,other::---"
	_, err = d.SetAccessControl(ctx, &directory.SetAccessControlOptions{ACL: to.Ptr(acl)})
	must(t, err)
	if _, err := d.SetAccessControl(ctx, &directory.SetAccessControlOptions{Permissions: to.Ptr("rwxrwxrwx"), ACL: to.Ptr("nonsense")}); err == nil {
		t.Error("a list that is none is taken")
	}
	got, err := d.GetAccessControl(ctx, nil)
	must(t, err)
	if *got.ACL != acl {
		t.Errorf("ACL %s, want %s", *got.ACL, acl)
	}
}

// TestVendorClientLease: who holds the lease writes, everybody else is refused.
func TestVendorClientLease(t *testing.T) {
	ctx, fs := t.Context(), sdk(t)
	f := fs.NewFileClient("state.json")
	_, err := f.Create(ctx, nil)
	must(t, err)
	l, err := sdklease.NewPathClient(f, nil)
	must(t, err)
	_, err = l.AcquireLease(ctx, 15, nil)
	must(t, err)
	if _, err := f.Delete(ctx, nil); !datalakeerror.HasCode(err, datalakeerror.LeaseIDMissing) {
		t.Errorf("delete without the lease: %v", err)
	}
	second, err := sdklease.NewPathClient(f, nil)
	must(t, err)
	if _, err := second.AcquireLease(ctx, -1, nil); !datalakeerror.HasCode(err, datalakeerror.LeaseAlreadyPresent) {
		t.Errorf("a second lease: %v", err)
	}
	p, err := f.GetProperties(ctx, nil)
	must(t, err)
	if *p.LeaseState != "leased" || *p.LeaseStatus != "locked" || *p.LeaseDuration != "fixed" {
		t.Errorf("lease %s, %s, %s", *p.LeaseState, *p.LeaseStatus, *p.LeaseDuration)
	}
	_, err = l.RenewLease(ctx, nil)
	must(t, err)
	_, err = l.ReleaseLease(ctx, nil)
	must(t, err)
	_, err = f.Delete(ctx, nil)
	must(t, err)

	leased, err := sdklease.NewFileSystemClient(fs, nil)
	must(t, err)
	_, err = leased.AcquireLease(ctx, 15, nil)
	must(t, err)
	if _, err := fs.Delete(ctx, nil); !datalakeerror.HasCode(err, datalakeerror.LeaseIDMissing) {
		t.Errorf("delete a leased container: %v", err)
	}
	_, err = leased.BreakLease(ctx, &sdklease.FileSystemBreakOptions{BreakPeriod: to.Ptr(int32(0))})
	must(t, err)
	props, err := fs.GetProperties(ctx, nil)
	must(t, err)
	if *props.LeaseState != "broken" || time.Since(*props.LastModified) > time.Minute {
		t.Errorf("container: lease %s, modified %s", *props.LeaseState, *props.LastModified)
	}
	_, err = fs.Delete(ctx, nil)
	must(t, err)
}
