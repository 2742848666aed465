package fetch_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// certificate is one for loopback that signs itself.
func certificate(t *testing.T, from, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &of, &of, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Over what is not trusted nothing is sent: TLS before 1.2, a certificate that is over or has not begun.
func TestNothingIsSentOverBadTLS(t *testing.T) {
	now := time.Now()
	good := certificate(t, now.Add(-time.Hour), now.Add(time.Hour))
	for name, tt := range map[string]struct {
		cert tls.Certificate
		most uint16
		want finance.Class
	}{
		"TLS 1.3":                    {good, tls.VersionTLS13, finance.OK},
		"TLS 1.2":                    {good, tls.VersionTLS12, finance.OK},
		"TLS 1.1":                    {good, tls.VersionTLS11, finance.Fatal},
		"TLS 1.0":                    {good, tls.VersionTLS10, finance.Fatal},
		"a certificate that is over": {certificate(t, now.Add(-2*time.Hour), now.Add(-time.Hour)), 0, finance.Fatal},
		"one that has not begun":     {certificate(t, now.Add(time.Hour), now.Add(2*time.Hour)), 0, finance.Fatal},
	} {
		p := &provider{handler: answers(answer(200, ""))}
		server := httptest.NewUnstartedServer(p)
		server.Config.ErrorLog = log.New(io.Discard, "", 0) // it would complain of what is wanted here
		server.TLS = &tls.Config{Certificates: []tls.Certificate{tt.cert}, MinVersion: tls.VersionTLS10, MaxVersion: tt.most}
		server.StartTLS()
		o := options(t, server.URL, fetchtest.NewCallStore())
		leaf, err := x509.ParseCertificate(tt.cert.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		o.RootCAs = x509.NewCertPool()
		o.RootCAs.AddCert(leaf)
		o.Retry = fetch.Retry{Attempts: 2, Base: time.Millisecond}
		_, err = client(t, o).Do(t.Context(), get("x"))
		if tt.want == finance.OK {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else {
			wantClass(t, err, tt.want)
			if n := len(p.journal()); n != 0 {
				t.Errorf("%s: %d calls arrived", name, n)
			}
		}
		server.Close()
	}
}
