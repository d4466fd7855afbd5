package serve

import (
	"fmt"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/cli/remote"
	"refline/internal/notify"
	"refline/internal/secret"
)

// mailOptions are the server's settings of mail.
type mailOptions struct {
	host, encryption, user, from, passwordFile string
	port                                       int
}

func (o *mailOptions) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.host, "smtp-host", "", "mail server of notifications (default: no mail)")
	f.IntVar(&o.port, "smtp-port", 0, "its port (default 587; with --smtp-tls tls 465)")
	f.StringVar(&o.encryption, "smtp-tls", string(notify.StartTLS), "its encryption: starttls, tls, or none for a relay without a password")
	f.StringVar(&o.from, "smtp-from", "", "sender of mail, as 'Refline <refline@example.com>'")
	f.StringVar(&o.user, "smtp-user", "", "user of the mail server (default: no sign-in)")
	f.StringVar(&o.passwordFile, "smtp-password-file", "", "file with the password of the mail server")
}

// server is the mail server, nil for none.
func (o *mailOptions) server(e *cli.Env) (*notify.MailServer, error) {
	if o.host == "" {
		return nil, nil
	}
	s := &notify.MailServer{Host: o.host, Port: o.port, TLS: notify.TLS(o.encryption), User: o.user, From: o.from}
	if o.passwordFile != "" {
		text, err := remote.ReadToken(e, o.passwordFile)
		if err != nil {
			return nil, fmt.Errorf("--smtp-password-file: %w", err)
		}
		s.Password = secret.NewString(text)
	}
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("mail (--smtp-host, --smtp-from, --smtp-tls): %w", err)
	}
	return s, nil
}
