package notify

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/textproto"
	"strings"

	"github.com/wneessen/go-mail"

	"refline/internal/errs"
	"refline/internal/forge"
	"refline/internal/secret"
)

// TLS is how a connection to a mail server is encrypted.
type TLS string

// The ways. The zero value is StartTLS.
const (
	StartTLS    TLS = "starttls" // required: a server without it gets nothing
	ImplicitTLS TLS = "tls"      // from the first byte, port 465
	NoTLS       TLS = "none"     // for a relay on this computer; never with a password
)

// MailServer is where mail goes, and from whom it is.
type MailServer struct {
	Host     string
	Port     int // 0 for 587, with ImplicitTLS 465
	TLS      TLS
	User     string // "" for no sign-in
	Password secret.Value
	From     string         // address, or "Name <address>"
	Roots    *x509.CertPool // nil is the system's
}

// Check returns an error of kind Invalid unless mail can be sent so.
func (s *MailServer) Check() error {
	if s.Host == "" || strings.ContainsAny(s.Host, " /@") {
		return errs.E(errs.Invalid, "the mail server is not a host name: give it as smtp.example.com, and the port by itself")
	}
	if err := mail.NewMsg().From(s.From); err != nil {
		return errs.E(errs.Invalid, "the sender of mail is not an address like refline@example.com")
	}
	switch s.TLS {
	case "", StartTLS, ImplicitTLS:
	case NoTLS:
		if s.Password.Len() > 0 {
			return errs.E(errs.Invalid, "a mail password is not sent without encryption: use starttls or tls, or no password")
		}
	default:
		return errs.E(errs.Invalid, "unknown encryption %q of mail: it is starttls, tls or none", s.TLS)
	}
	return nil
}

// sendMail sends a message as plain text, one mail to all addresses. A mail that
// is tried again has the same id, so that readers show it once.
func (d *Deliverer) sendMail(ctx context.Context, rule Rule, p payload, id string) error {
	if d.Mail == nil {
		return errs.E(errs.Invalid, "notification %q: no mail server is set: start the server with --smtp-host", rule.Name)
	}
	text, err := p.render(cmp.Or(rule.Template, defaultTemplate), func(s string) string { return s }, maxText)
	if err != nil {
		return err
	}
	m := mail.NewMsg()
	if err := m.From(d.Mail.From); err != nil {
		return errs.E(errs.Invalid, "the sender of mail is not an address like refline@example.com")
	}
	if err := m.To(rule.Settings.To...); err != nil {
		return errs.E(errs.Invalid, "notification %q: one of the addresses is not an e-mail address", rule.Name)
	}
	m.Subject(p.subject())
	m.SetMessageIDWithValue(id + "@" + d.Mail.Host)
	m.SetDateWithValue(d.Now())
	m.SetUserAgent("refline")
	m.SetGenHeader("Auto-Submitted", "auto-generated") // so that no absence note answers
	m.SetBodyString(mail.TypeTextPlain, text)
	client, err := d.Mail.client()
	if err != nil {
		return err
	}
	return d.Mail.translate(ctx, client.DialAndSendWithContext(ctx, m))
}

func (s *MailServer) client() (*mail.Client, error) {
	options := []mail.Option{mail.WithTimeout(timeout / 2), mail.WithTLSConfig(&tls.Config{ServerName: s.Host, RootCAs: s.Roots, MinVersion: tls.VersionTLS12})}
	port := 587
	switch s.TLS {
	case ImplicitTLS:
		port = 465
		options = append(options, mail.WithSSL())
	case NoTLS:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	options = append(options, mail.WithPort(cmp.Or(s.Port, port)))
	if s.User != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(s.User), mail.WithPassword(s.Password.RevealString()))
	}
	client, err := mail.NewClient(s.Host, options...)
	if err != nil {
		return nil, errs.E(errs.Invalid, "the mail server %s cannot be used: %w", s.Host, err)
	}
	return client, nil
}

// translate gives an answer of the mail server its kind: 4xx are for a while, 5xx
// for ever.
func (s *MailServer) translate(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	text := oneLine(err.Error())
	if s.Password.Len() > 0 {
		text = strings.ReplaceAll(text, s.Password.RevealString(), "[masked]")
	}
	kind, hint := errs.Unavailable, ""
	var sent *mail.SendError
	var answer *textproto.Error
	code := 0
	if errors.As(err, &sent) {
		code = sent.ErrorCode()
	}
	if errors.As(err, &answer) {
		code = answer.Code
	}
	switch {
	case code == 535 || code == 530 || code == 534:
		kind, hint = errs.Denied, "; check the user and password of the mail server"
	case code >= 500:
		kind = errs.Invalid
	case strings.Contains(text, "STARTTLS"):
		kind, hint = errs.Invalid, "; it does not encrypt: use another port, or no encryption for a relay on this computer"
	case strings.Contains(text, "certificate"):
		kind, hint = errs.Invalid, "; give its authority's certificates"
	}
	return errs.E(kind, "%w", &forge.Answer{Status: 0, Text: "mail server " + s.Host + ": " + cut(text, 300) + hint})
}
