package wire

import (
	"errors"
	"net"
	"testing"
)

// What may be dialled: public addresses, and of the others the proxy alone, at its own port. Whatever other form an address
// is written in, it is what it leads to.
func TestWhatMayBeDialled(t *testing.T) {
	const proxy = "10.9.8.7:3128"
	for _, test := range []struct {
		address string
		alone   bool // without a proxy
		proxied bool // while the proxy is configured
	}{
		{"93.184.216.34:443", true, true},
		{"[2606:2800:220:1::1]:443", true, true},
		{"[::ffff:93.184.216.34]:443", true, true},
		{proxy, false, true},
		{"10.9.8.7:443", false, false},
		{"10.9.8.8:3128", false, false},
		{"127.0.0.1:3128", false, false},
		{"127.0.0.1:443", false, false},
		{"169.254.169.254:80", false, false},
		{"100.64.0.1:443", false, false},
		{"172.16.0.1:443", false, false},
		{"192.168.0.1:443", false, false},
		{"0.0.0.0:443", false, false},
		{"255.255.255.255:443", false, false},
		{"224.0.0.1:443", false, false},
		{"[::1]:443", false, false},
		{"[::ffff:169.254.169.254]:80", false, false},
		{"[::ffff:127.0.0.1]:443", false, false},
		{"[64:ff9b::a9fe:a9fe]:80", false, false},
		{"[64:ff9b:1::1]:443", false, false},
		{"[2002:a00:1::1]:443", false, false},
		{"[fd00::1]:443", false, false},
		{"[fe80::1%eth0]:443", false, false},
		{"[ff02::1]:443", false, false},
		{"a.name.example:443", false, false}, // it should have been resolved by now
	} {
		for _, with := range []struct {
			except string
			may    bool
		}{{"", test.alone}, {proxy, test.proxied}} {
			err := refusePrivate(with.except)("tcp", test.address, nil)
			if may := err == nil; may != with.may {
				t.Errorf("%s, with the proxy %q: dialled %v, want %v", test.address, with.except, may, with.may)
			}
			if err != nil && !errors.Is(err, ErrPrivate) {
				t.Errorf("%s: %v", test.address, err)
			}
		}
	}
}

// A proxy opens no address but its own: what goes around it, by NO_PROXY say, is refused as it is without one.
func TestAProxyLeavesTheOthersRefused(t *testing.T) {
	private, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer private.Close()
	for _, c := range []struct {
		proxy        string
		allowPrivate bool
		may          bool
	}{
		{"", false, false},
		{"10.9.8.7:3128", false, false},
		{private.Addr().String(), false, true},
		{"", true, true},
	} {
		conn, err := newDialer(c.allowPrivate, c.proxy).DialContext(t.Context(), "tcp", private.Addr().String())
		if err == nil {
			_ = conn.Close()
		}
		if may := err == nil; may != c.may || !may && !errors.Is(err, ErrPrivate) {
			t.Errorf("with the proxy %q, private addresses allowed %v: %v", c.proxy, c.allowPrivate, err)
		}
	}
}
