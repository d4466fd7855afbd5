package workspace

import "io/fs"

// fileKind is the type of a file.
type fileKind uint8

const (
	isFile fileKind = iota
	isDir
	isLink
	isSpecial // a socket, pipe or device: never copied
)

// fileNode describes one name in a folder.
type fileNode struct {
	name   string
	kind   fileKind
	mode   fs.FileMode // permissions only
	size   int64
	mtime  int64  // nanoseconds since 1970; 0: not kept
	target string // of a link
	links  uint64 // names that the file has
	id     Identity
	data   []byte // the content, if it is kept in memory
}

// Identity shows whether a file is still the same: its inode and the time of its
// last change, which no program can set. The zero value means unknown.
type Identity struct {
	inode uint64
	ctime int64
}

// openNew opens a directory that was just made with all permissions. The ones it
// got are those that any new file may have; extra are the bits that need a chmod.
func openNew(dir string) (f folder, extra fs.FileMode, err error) {
	f, err = openFolder(dir)
	if err != nil {
		return folder{}, 0, err
	}
	mode, err := f.mode()
	if err != nil {
		f.close()
		return folder{}, 0, err
	}
	return f, fs.ModePerm &^ mode, nil
}
