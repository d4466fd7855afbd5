package notify_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"refline/internal/errs"
	"refline/internal/forge"
	"refline/internal/notify"
	"refline/internal/secret"
)

// mailbox is a mail server that keeps what it gets.
type mailbox struct {
	mu       sync.Mutex
	password string // "" lets all send
	refuse   *smtp.SMTPError
	to       []string
	mail     []string
	port     int
	roots    *x509.CertPool
}

type session struct {
	box    *mailbox
	signed bool
}

func (b *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{box: b}, nil }

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "refline" || password != s.box.password {
			return &smtp.SMTPError{Code: 535, Message: "authentication failed for " + password}
		}
		s.signed = true
		return nil
	}), nil
}

func (s *session) Mail(string, *smtp.MailOptions) error {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	switch {
	case s.box.password != "" && !s.signed:
		return &smtp.SMTPError{Code: 530, Message: "authentication required"}
	case s.box.refuse != nil:
		return s.box.refuse
	}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.box.to = append(s.box.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.box.mail = append(s.box.mail, string(text))
	return err
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// startMail serves mail on a port of this computer; encrypted says how.
func startMail(t *testing.T, encrypted notify.TLS, password string) *mailbox {
	t.Helper()
	certificates := httptest.NewUnstartedServer(http.NotFoundHandler())
	certificates.StartTLS() // for its certificate, which is for 127.0.0.1 and example.com
	t.Cleanup(certificates.Close)
	box := &mailbox{password: password, roots: x509.NewCertPool()}
	box.roots.AddCert(certificates.Certificate())
	server := smtp.NewServer(box)
	server.Domain = "localhost"
	config := &tls.Config{Certificates: certificates.TLS.Certificates, MinVersion: tls.VersionTLS12}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box.port = listener.Addr().(*net.TCPAddr).Port
	switch encrypted {
	case notify.StartTLS:
		server.TLSConfig = config
	case notify.ImplicitTLS:
		listener = tls.NewListener(listener, config)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-done; err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			t.Error(err)
		}
	})
	return box
}

func mailRule() notify.Rule {
	return notify.Rule{ID: 9, Name: "data", Kind: notify.RuleEmail, Events: notify.Events(), Settings: notify.Settings{To: []string{"a@example.com", "Bea <b@example.com>"}}}
}

func TestMail(t *testing.T) {
	t.Parallel()
	for _, encrypted := range []notify.TLS{notify.StartTLS, notify.ImplicitTLS, notify.NoTLS} {
		password := "pass-of-mail"
		if encrypted == notify.NoTLS {
			password = ""
		}
		box := startMail(t, encrypted, password)
		b := newBench(t, forge.KindGitLab)
		b.Mail = &notify.MailServer{Host: "127.0.0.1", Port: box.port, TLS: encrypted, Password: secret.NewString(password), From: "Refline <refline@example.com>", Roots: box.roots}
		if password != "" {
			b.Mail.User = "refline"
		}
		if err := b.Mail.Check(); err != nil {
			t.Fatal(err)
		}
		rule := mailRule()
		b.rules[9] = rule
		r := run("failed")
		r.Ref = "refs/heads/ü\r\nBcc: evil@example.com"
		b.wantAll(notify.WantEvents(r, []notify.Rule{rule}, b.now))
		if next := b.pass(); !next.IsZero() {
			rows, _ := b.store.Notifications(t.Context(), 5)
			t.Fatalf("%s: %+v", encrypted, rows)
		}
		if len(box.mail) != 1 || strings.Join(box.to, " ") != "a@example.com b@example.com" {
			t.Fatalf("%s: %d mails to %v", encrypted, len(box.mail), box.to)
		}
		head, text, _ := strings.Cut(box.mail[0], "\r\n\r\n")
		for _, want := range []string{"Subject:", "User-Agent: refline\r\n", "Message-ID: <refline-", "Auto-Submitted: auto-generated", "Date: "} {
			if !strings.Contains(head, want) {
				t.Errorf("%s: the head has no %q:\n%s", encrypted, want, head)
			}
		}
		if strings.Contains(head, "\nBcc:") || !strings.Contains(text, "https://r.example/runs/5") {
			t.Errorf("%s:\n%s", encrypted, box.mail[0])
		}
	}
}

func TestMailThatIsRefused(t *testing.T) {
	t.Parallel()
	box := startMail(t, notify.StartTLS, "pass-of-mail")
	plain := startMail(t, notify.NoTLS, "")
	server := notify.MailServer{Host: "127.0.0.1", Port: box.port, User: "refline", Password: secret.NewString("pass-of-mail"), From: "refline@example.com", Roots: box.roots}
	for _, tc := range []struct {
		name   string
		change func(*notify.MailServer)
		refuse *smtp.SMTPError
		kind   errs.Kind
		text   string
	}{
		{"a wrong password", func(s *notify.MailServer) { s.Password = secret.NewString("wrong-pass-of-mail") }, nil, errs.Denied, "check the user and password"},
		{"no password", func(s *notify.MailServer) { s.User = "" }, nil, errs.Denied, "check the user and password"},
		{"for a while", func(*notify.MailServer) {}, &smtp.SMTPError{Code: 451, Message: "greylisted"}, errs.Unavailable, "greylisted"},
		{"for ever", func(*notify.MailServer) {}, &smtp.SMTPError{Code: 550, Message: "no such sender"}, errs.Invalid, "no such sender"},
		{"no encryption there", func(s *notify.MailServer) { s.Port = plain.port }, nil, errs.Invalid, "does not encrypt"},
		{"an unknown certificate", func(s *notify.MailServer) { s.Roots = x509.NewCertPool() }, nil, errs.Invalid, "authority's certificates"},
		{"nothing there", func(s *notify.MailServer) { s.Port = 1 }, nil, errs.Unavailable, "127.0.0.1"},
	} {
		s := server
		tc.change(&s)
		box.mu.Lock()
		box.refuse = tc.refuse
		box.mu.Unlock()
		b := newBench(t, forge.KindGitLab)
		b.Mail = &s
		err := b.Test(t.Context(), mailRule())
		_, again := forge.Retry(err)
		if !errs.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.text) || strings.Contains(err.Error(), "pass-of-mail") || again != (tc.kind == errs.Unavailable) {
			t.Errorf("%s: kind %s, again %t: %v", tc.name, errs.KindOf(err), again, err)
		}
	}
	if len(box.mail)+len(plain.mail) > 0 {
		t.Error("something was sent")
	}
	b := newBench(t, forge.KindGitLab)
	if err := b.Test(t.Context(), mailRule()); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "no mail server is set") {
		t.Errorf("no server: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	b.Mail = &server
	if err := b.Test(gone, mailRule()); err == nil {
		t.Error("canceled: no error")
	}
}

func TestMailServerCheck(t *testing.T) {
	t.Parallel()
	for _, s := range []notify.MailServer{
		{From: "a@example.com"}, {Host: "smtp://x", From: "a@example.com"}, {Host: "x"}, {Host: "x", From: "a"},
		{Host: "x", From: "a@example.com", TLS: "ssl"}, {Host: "x", From: "a@example.com", TLS: notify.NoTLS, Password: secret.NewString("p")},
	} {
		if err := s.Check(); !errs.Is(err, errs.Invalid) {
			t.Errorf("%+v: %v", s, err)
		}
	}
}
