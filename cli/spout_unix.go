//go:build unix

package cli

import (
	"io"
	"os"
	"syscall"
)

// unsignalled is a writer to the same file that fails where its reader has gone. Go ends a program that writes to a broken pipe
// as its standard output or error; nobody's leaving may end the work.
func unsignalled(w io.Writer) io.Writer {
	f, ok := w.(*os.File)
	if !ok {
		return w
	}
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		return w
	}
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), f.Name())
}
