package stacktest

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

func (s *Server) getCallerIdentity(c call) ([]elem, error) {
	arn := fmt.Sprintf("arn:%s:iam::%s:user/tester", partition(c.region), c.account)
	if _, assumed := s.tokens[c.key]; assumed {
		arn = fmt.Sprintf("arn:%s:sts::%s:assumed-role/role/session", partition(c.region), c.account)
	}
	return []elem{el("Account", c.account), el("Arn", arn), el("UserId", "AIDATEST"+c.account)}, nil
}

// assumeRole returns credentials of the account in the role's ARN. Any role can
// be assumed but one whose name begins with "denied".
func (s *Server) assumeRole(c call) ([]elem, error) {
	arn := c.Get("RoleArn")
	parts := strings.Split(arn, ":")
	if len(parts) != 6 || len(parts[4]) != 12 {
		return nil, invalid("%s is invalid", arn)
	}
	if strings.HasPrefix(parts[5], "role/denied") {
		return nil, &fault{http.StatusForbidden, "AccessDenied",
			fmt.Sprintf("User is not authorized to perform: sts:AssumeRole on resource: %s", arn)}
	}
	key := fmt.Sprintf("ASIATEST%012d", s.number())
	s.tokens[key] = parts[4]
	return []elem{
		group("Credentials",
			el("AccessKeyId", key),
			el("SecretAccessKey", "not-a-secret"),
			el("SessionToken", "session-"+key),
			// Of the real clock, because the SDK compares it with that.
			el("Expiration", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)),
		),
		group("AssumedRoleUser",
			el("Arn", strings.Replace(arn, ":iam::", ":sts::", 1)+"/"+c.Get("RoleSessionName")),
			el("AssumedRoleId", "AROATEST:"+c.Get("RoleSessionName"))),
	}, nil
}
