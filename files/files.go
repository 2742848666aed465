// Package files opens what people name in settings and on command lines: a file that is none, such as a device or a pipe that
// nobody writes to, must not hang the program, and one that never ends must not fill its memory.
package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Open opens a regular file of at most so many bytes, for reading. Anything else that lies at the path is refused, also behind
// a link, and never waited for. What is read of it later ends there too. The error names the path.
func Open(path string, most int64) (*File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|withoutWaiting, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = &fs.PathError{Op: "read", Path: path, Err: ErrIrregular}
	case info.Size() > most:
		err = tooLarge(path, most)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &File{file: f, left: most, most: most, Info: info}, nil
}

// Read gives what is in a regular file of at most so many bytes.
func Read(path string, most int64) ([]byte, error) {
	data, _, err := ReadWithInfo(path, most)
	return data, err
}

// ReadWithInfo is Read, and tells of the very file that was read what it is.
func ReadWithInfo(path string, most int64) ([]byte, fs.FileInfo, error) {
	f, err := Open(path, most)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	return data, f.Info, err
}

// File is an open file that is no longer than it may be.
type File struct {
	Info fs.FileInfo

	file       *os.File
	left, most int64
}

// Read implements io.Reader. It fails where the file turns out to be longer than it may be.
func (f *File) Read(p []byte) (int, error) {
	n, err := f.file.Read(p)
	if f.left -= int64(n); f.left < 0 {
		return 0, tooLarge(f.file.Name(), f.most)
	}
	return n, err
}

// Close closes it.
func (f *File) Close() error { return f.file.Close() }

// ErrIrregular says that something is no regular file.
var ErrIrregular = errors.New("it is not a regular file, but a folder, a pipe, a socket or a device")

func tooLarge(path string, most int64) error {
	return &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it is larger than %d bytes: is it the right file?", most)}
}
