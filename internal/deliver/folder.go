package deliver

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/lakeward/lakeward"
)

// Folder delivers files into a folder of this machine, for previews, support and measuring. There is no slot and no
// journal: what was begun and not published is discarded.
type Folder struct {
	root      *os.Root
	nonce     string
	checksums bool
	files     []lakeward.File // staged, with the manifest last
}

// OpenFolder makes a folder, if it is not there, and opens it. With checksums the SHA-256 of each file is noted. The caller
// closes it.
func OpenFolder(dir string, checksums bool) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, folderError(dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, folderError(dir, err)
	}
	return &Folder{root: root, nonce: lakeward.NewNonce()[:8], checksums: checksums}, nil
}

// Close removes what was not published and closes the folder.
func (f *Folder) Close() error {
	for _, file := range f.files {
		_ = f.root.Remove(file.Staged)
	}
	return f.root.Close()
}

// Stage writes a file under a name of its own beside its final one. write returns the number of rows that it wrote.
// A file that is there already is never replaced.
func (f *Folder) Stage(file lakeward.File, write func(io.Writer) (int64, error)) (lakeward.File, error) {
	file.Path = path.Clean(file.Path)
	file.Staged = path.Join(path.Dir(file.Path), "."+path.Base(file.Path)+"."+f.nonce+".tmp")
	if _, err := f.root.Lstat(file.Path); !errors.Is(err, fs.ErrNotExist) {
		return file, errors.Join(&lakeward.Error{Kind: lakeward.Conflict, Code: lakeward.FailConflict, Msg: f.name(file.Path) + " exists already; remove it or choose another folder"}, err)
	}
	if err := f.root.MkdirAll(path.Dir(file.Path), 0o700); err != nil {
		return file, folderError(f.name(file.Path), err)
	}
	out, err := f.root.OpenFile(file.Staged, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return file, folderError(f.name(file.Path), err)
	}
	f.files = append(f.files, file)
	to, sum := io.Writer(out), sha256.New()
	if f.checksums {
		to = io.MultiWriter(out, sum)
	}
	file.Rows, err = write(to)
	info, serr := out.Stat()
	if err = errors.Join(err, serr, out.Sync(), out.Close()); err != nil {
		return file, err
	}
	file.Bytes, file.State = info.Size(), lakeward.FileStaged
	if f.checksums {
		file.SHA256 = hex.EncodeToString(sum.Sum(nil))
	}
	return file, nil
}

// Publish gives all staged files their final names, in the order in which they were staged.
func (f *Folder) Publish() error {
	for len(f.files) > 0 {
		if err := f.root.Rename(f.files[0].Staged, f.files[0].Path); err != nil {
			return folderError(f.name(f.files[0].Path), err)
		}
		f.files = f.files[1:]
	}
	return nil
}

func (f *Folder) name(p string) string { return filepath.Join(f.root.Name(), filepath.FromSlash(p)) }

func folderError(name string, err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrInvalid) {
		return &lakeward.Error{Kind: lakeward.Invalid, Code: "FILE-1001", Msg: name + ": it cannot be written; choose another folder", Err: err}
	}
	return fmt.Errorf("write %s: %w", name, err)
}
