package emulator

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	blobs "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/datalakeerror"

	"github.com/lakeward/lakeward"
)

func body(text string) io.ReadSeekCloser { return streaming.NopCloser(strings.NewReader(text)) }

func content(ctx context.Context, t *testing.T, b *blockblob.Client) string {
	t.Helper()
	res, err := b.DownloadStream(ctx, nil)
	must(t, err)
	text, err := io.ReadAll(res.Body)
	must(t, err)
	return string(text)
}

func blockID(i int) string { return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%08d", i)) }

// TestVendorBlobWritesADL115 writes as tools do that know the blob interface only.
func TestVendorBlobWritesADL115(t *testing.T) {
	ctx := t.Context()
	fs, list := sdks(t)
	b := list.NewBlockBlobClient("new/folder/put.txt")
	_, err := b.Upload(ctx, body("hello"), &blockblob.UploadOptions{Metadata: map[string]*string{"who": to.Ptr("me")}, HTTPHeaders: &blob.HTTPHeaders{BlobContentType: to.Ptr("text/plain")}})
	must(t, err)
	p, err := fs.NewFileClient("new/folder/put.txt").GetProperties(ctx, nil)
	must(t, err)
	if got := content(ctx, t, b); got != "hello" || *p.ContentLength != 5 || *p.ContentType != "text/plain" || len(p.ContentMD5) != 16 || p.Metadata["who"] == nil && p.Metadata["Who"] == nil {
		t.Errorf("content %q, properties %+v", got, p)
	}
	star := &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}}
	if _, err := b.Upload(ctx, body("again"), &blockblob.UploadOptions{AccessConditions: star}); !bloberror.HasCode(err, bloberror.BlobAlreadyExists) {
		t.Errorf("a second put with If-None-Match: %v", err)
	}
	if _, err := b.Upload(ctx, body("x"), &blockblob.UploadOptions{TransactionalValidation: blob.TransferValidationTypeMD5(make([]byte, 16))}); !bloberror.HasCode(err, bloberror.MD5Mismatch) {
		t.Errorf("a wrong MD5: %v", err)
	}
	if got := content(ctx, t, b); got != "hello" {
		t.Errorf("refused puts left %q", got)
	}
	_, err = b.Upload(ctx, body("over"), nil)
	must(t, err)
	if got := content(ctx, t, b); got != "over" {
		t.Errorf("after overwriting: %q", got)
	}
	if _, err := list.NewBlockBlobClient("new/folder").Upload(ctx, body("x"), nil); err == nil {
		t.Error("a put replaced a folder")
	}
	// A folder, as old writers make one; and a file of dfs that put replaces.
	_, err = list.NewBlockBlobClient("old-style").Upload(ctx, body(""), &blockblob.UploadOptions{Metadata: map[string]*string{"hdi_isfolder": to.Ptr("true")}})
	must(t, err)
	dir, err := fs.NewDirectoryClient("old-style").GetProperties(ctx, nil)
	must(t, err)
	if *dir.ResourceType != "directory" {
		t.Errorf("old-style is a %s", *dir.ResourceType)
	}
	_, err = fs.NewFileClient("by-dfs").Create(ctx, nil)
	must(t, err)
	_, err = list.NewBlockBlobClient("by-dfs").Upload(ctx, body("put"), nil)
	must(t, err)
	f := fs.NewFileClient("new/folder/put.txt")
	if err := f.UploadBuffer(ctx, []byte("dfs"), nil); !datalakeerror.HasCode(err, "InvalidAppendOperation") {
		t.Errorf("dfs appends to a blob: %v", err)
	}
	_, err = f.Create(ctx, nil)
	must(t, err)
	must(t, f.UploadBuffer(ctx, []byte("dfs"), nil))
}

// TestVendorBlobBlocksADL115: blocks show nothing until a list names them.
func TestVendorBlobBlocksADL115(t *testing.T) {
	ctx := t.Context()
	fs, list := sdks(t)
	b := list.NewBlockBlobClient("d/blocks")
	stage := func(i int, text string) error {
		_, err := b.StageBlock(ctx, blockID(i), body(text), nil)
		return err
	}
	for i, text := range []string{"one ", "two ", "three"} {
		must(t, stage(i, text))
	}
	if _, err := fs.NewFileClient("d/blocks").GetProperties(ctx, nil); err == nil {
		t.Error("uncommitted blocks make a name visible")
	}
	blocks, err := b.GetBlockList(ctx, blockblob.BlockListTypeAll, nil)
	must(t, err)
	if len(blocks.UncommittedBlocks) != 3 || len(blocks.CommittedBlocks) != 0 {
		t.Errorf("block list %+v", blocks.BlockList)
	}
	if _, err := b.StageBlock(ctx, base64.StdEncoding.EncodeToString([]byte("short")), body("x"), nil); !bloberror.HasCode(err, bloberror.InvalidBlobOrBlock) {
		t.Errorf("an id of another length: %v", err)
	}
	if _, err := b.CommitBlockList(ctx, []string{blockID(0), blockID(9)}, nil); !bloberror.HasCode(err, bloberror.InvalidBlockList) {
		t.Errorf("an unknown block: %v", err)
	}
	if _, err := b.CommitBlockList(ctx, make([]string, 50_001), nil); !bloberror.HasCode(err, bloberror.BlockListTooLong) {
		t.Errorf("too many blocks: %v", err)
	}
	_, err = b.CommitBlockList(ctx, []string{blockID(1), blockID(0), blockID(2)}, &blockblob.CommitBlockListOptions{Tags: nil, Metadata: map[string]*string{"k": to.Ptr("v")}})
	must(t, err)
	if got := content(ctx, t, b); got != "two one three" {
		t.Errorf("content %q", got)
	}
	must(t, stage(7, "seven"))
	_, err = b.CommitBlockList(ctx, []string{blockID(7), blockID(1)}, nil) // one new, one that is committed
	must(t, err)
	if got := content(ctx, t, b); got != "seventwo " {
		t.Errorf("content after the second list %q", got)
	}
	blocks, err = b.GetBlockList(ctx, blockblob.BlockListTypeAll, nil)
	must(t, err)
	if len(blocks.CommittedBlocks) != 2 || *blocks.CommittedBlocks[0].Size != 5 || len(blocks.UncommittedBlocks) != 0 {
		t.Errorf("block list %+v", blocks.BlockList)
	}
	// The two interfaces do not mix in one file.
	if _, err := fs.NewFileClient("d/blocks").AppendData(ctx, 9, body("x"), nil); err == nil {
		t.Error("dfs appended to a blob")
	}
	_, err = fs.NewFileClient("d/dfs").Create(ctx, nil)
	must(t, err)
	must(t, fs.NewFileClient("d/dfs").UploadBuffer(ctx, []byte("dfs"), nil))
	if _, err := list.NewBlockBlobClient("d/dfs").StageBlock(ctx, blockID(0), body("x"), nil); !bloberror.HasCode(err, bloberror.InvalidBlobOrBlock) {
		t.Errorf("a block of a file of dfs: %v", err)
	}
	// What large uploads of tools do.
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	_, err = list.NewBlockBlobClient("stream").UploadStream(ctx, bytes.NewReader(data), &blockblob.UploadStreamOptions{BlockSize: 100_000, Concurrency: 3})
	must(t, err)
	if got := content(ctx, t, list.NewBlockBlobClient("stream")); got != string(data) {
		t.Error("a streamed upload came out different")
	}
}

func TestVendorBlobExtrasADL115(t *testing.T) {
	ctx := t.Context()
	_, list := sdks(t)
	b := list.NewBlockBlobClient("a.txt")
	_, err := b.Upload(ctx, body("text"), nil)
	must(t, err)

	_, err = b.SetTags(ctx, map[string]string{"team": "crm", "year": "2026"}, nil)
	must(t, err)
	tags, err := b.GetTags(ctx, nil)
	must(t, err)
	if len(tags.BlobTagSet) != 2 || *tags.BlobTagSet[0].Value != "crm" {
		t.Errorf("tags %+v", tags.BlobTagSet)
	}
	if _, err := b.SetTags(ctx, map[string]string{"bad<key": "x"}, nil); err == nil {
		t.Error("a tag with a forbidden character is taken")
	}

	_, err = b.SetTier(ctx, blob.AccessTierArchive, nil)
	must(t, err)
	if _, err := b.DownloadStream(ctx, nil); !bloberror.HasCode(err, bloberror.BlobArchived) {
		t.Errorf("reading an archived blob: %v", err)
	}
	_, err = b.SetTier(ctx, blob.AccessTierCool, nil)
	must(t, err)
	p, err := b.GetProperties(ctx, nil)
	must(t, err)
	if *p.AccessTier != "Cool" || *p.TagCount != 2 {
		t.Errorf("tier %s, %d tags", *p.AccessTier, *p.TagCount)
	}

	c := list.NewBlockBlobClient("copy.txt")
	done, err := c.StartCopyFromURL(ctx, b.URL(), nil)
	must(t, err)
	if *done.CopyStatus != blob.CopyStatusTypeSuccess || content(ctx, t, c) != "text" {
		t.Errorf("copy %+v", done)
	}
	if _, err := c.StartCopyFromURL(ctx, b.URL()+"-missing", nil); !bloberror.HasCode(err, bloberror.CannotVerifyCopySource) {
		t.Errorf("a missing source: %v", err)
	}
	if _, err := c.StartCopyFromURL(ctx, "https://elsewhere.blob."+lakeward.EmulatorSuffix+"/x/y", nil); err == nil {
		t.Error("a copy from another lake")
	}

	_, err = c.SetExpiry(ctx, blockblob.ExpiryTypeRelativeToNow(time.Second), nil)
	must(t, err)
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := c.GetProperties(ctx, nil); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the copy did not expire")
		}
	}
	if _, err := b.SetExpiry(ctx, blockblob.ExpiryTypeAbsolute(time.Now().Add(-time.Hour)), nil); err == nil {
		t.Error("an expiry in the past is taken")
	}
}

func TestVendorBlobServiceADL115(t *testing.T) {
	ctx := t.Context()
	_, list := sdks(t)
	s, err := Start(t.TempDir(), Options{NoSync: true})
	must(t, err)
	transport := reach(s)
	t.Cleanup(func() { transport.CloseIdleConnections(); must(t, s.Close()) })
	a := s.account(DefaultAccount)
	key, err := service.NewSharedKeyCredential(a.Name, a.Key)
	must(t, err)
	// In path style, as tools reach it that cannot be given a host name.
	svc, err := service.NewClientWithSharedKeyCredential("https://"+s.Address()+"/"+a.Name, key,
		&service.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: &http.Client{Transport: transport}, Retry: policy.RetryOptions{MaxRetries: -1}}})
	must(t, err)
	info, err := svc.GetAccountInfo(ctx, nil)
	must(t, err)
	if *info.AccountKind != "StorageV2" || !*info.IsHierarchicalNamespaceEnabled {
		t.Errorf("account %+v", info)
	}
	for _, name := range []string{"one", "two", "three"} {
		_, err := svc.CreateContainer(ctx, name, &service.CreateContainerOptions{Metadata: map[string]*string{"n": to.Ptr(name)}})
		must(t, err)
	}
	var names []string
	for pager := svc.NewListContainersPager(&service.ListContainersOptions{MaxResults: to.Ptr(int32(1)), Prefix: to.Ptr("t"), Include: service.ListContainersInclude{Metadata: true}}); pager.More(); {
		page, err := pager.NextPage(ctx)
		must(t, err)
		for _, c := range page.ContainerItems {
			names = append(names, *c.Name+"="+*c.Metadata["n"])
		}
	}
	if got := strings.Join(names, ","); got != "three=three,two=two" {
		t.Errorf("containers %s", got)
	}
	_, err = svc.SetProperties(ctx, &service.SetPropertiesOptions{DeleteRetentionPolicy: &service.RetentionPolicy{Enabled: to.Ptr(true), Days: to.Ptr(int32(7))}})
	must(t, err)
	props, err := svc.GetProperties(ctx, nil)
	must(t, err)
	if props.DeleteRetentionPolicy == nil || *props.DeleteRetentionPolicy.Days != 7 {
		t.Errorf("service properties %+v", props.StorageServiceProperties)
	}
	b := svc.NewContainerClient("one").NewBlockBlobClient("x y/ü.txt")
	_, err = b.Upload(ctx, body("path style"), nil)
	must(t, err)
	if got := content(ctx, t, b); got != "path style" {
		t.Errorf("path style: %q", got)
	}
	onDisk, err := os.ReadFile(filepath.Join(s.Dir(), a.Name, "one", "x y", "ü.txt"))
	must(t, err)
	if string(onDisk) != "path style" {
		t.Errorf("on disk %q", onDisk)
	}

	_, err = list.SetAccessPolicy(ctx, &blobs.SetAccessPolicyOptions{ContainerACL: []*blobs.SignedIdentifier{{ID: to.Ptr("p"), AccessPolicy: &blobs.AccessPolicy{Permission: to.Ptr("r")}}}})
	must(t, err)
	got, err := list.GetAccessPolicy(ctx, nil)
	must(t, err)
	if len(got.SignedIdentifiers) != 1 || *got.SignedIdentifiers[0].ID != "p" {
		t.Errorf("policies %+v", got.SignedIdentifiers)
	}
}
