package pg_test

import (
	"net"
	"syscall"
	"testing"

	"syncer/persist/pg"
)

// A connection breaks when what was sent stays unheard of for half a minute.
func TestAConnectionDoesNotWaitForEver(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := pg.Dial(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	const tcpUserTimeout = 0x12
	var ms int
	var asked error
	err = raw.Control(func(fd uintptr) { ms, asked = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout) })
	if err != nil || asked != nil || ms != 30_000 {
		t.Errorf("TCP_USER_TIMEOUT is %d ms: %v, %v", ms, err, asked)
	}
}
