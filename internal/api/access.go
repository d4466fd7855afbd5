package api

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Token is a token of a program, a runner, a session or the owner, without its text.
type Token struct {
	ID        int64     `json:"id"`
	Kind      string    `json:"kind" enum:"owner,api,runner,session"`
	Name      string    `json:"name"`
	Scopes    []string  `json:"scopes,omitempty"`
	Project   string    `json:"project,omitempty" doc:"the only one that it sees"`
	Tags      []string  `json:"tags,omitempty" doc:"of a runner's token"`
	Protected bool      `json:"protected,omitempty" doc:"the runner takes jobs of protected refs only"`
	CreatedBy string    `json:"created_by"`
	Created   time.Time `json:"created"`
	Expires   time.Time `json:"expires,omitzero"`
	Used      time.Time `json:"used,omitzero"`
}

// TokenInput makes a token of a program, or of a runner.
type TokenInput struct {
	Name    string   `json:"name" doc:"says where it is used"`
	Scopes  []string `json:"scopes,omitempty" doc:"read, run, deploy, write, secret, admin"`
	Project string   `json:"project,omitempty" doc:"the only one that it sees"`
	// ExpiresSeconds is the life of the token: at most a year for programs, 0 for
	// none of a runner.
	ExpiresSeconds int64    `json:"expires_seconds,omitempty" minimum:"0"`
	Runner         bool     `json:"runner,omitempty" doc:"a runner's token: it has tags instead of scopes"`
	Tags           []string `json:"tags,omitempty"`
	Protected      bool     `json:"protected,omitempty"`
}

// NewToken is a token with its text, which is shown once.
type NewToken struct {
	Token
	Text string `json:"token" doc:"shown once"`
}

// SignInLink is an address that signs a browser in once.
type SignInLink struct {
	URL     string    `json:"url"`
	Expires time.Time `json:"expires"`
}

// AuditEvent is who did what.
type AuditEvent struct {
	ID      int64     `json:"id"`
	Time    time.Time `json:"time"`
	Actor   string    `json:"actor"`
	Action  string    `json:"action"`
	Project string    `json:"project,omitempty"`
	Object  string    `json:"object"`
	Detail  string    `json:"detail,omitempty"`
}

// Audit is a page of the audit, newest first.
type Audit struct {
	Events []AuditEvent `json:"events"`
	Next   string       `json:"next,omitempty" doc:"cursor of the next page; absent on the last"`
}

// Variable is a variable of a project or of the server, without its value.
type Variable struct {
	Name        string    `json:"name"`
	Environment string    `json:"environment" doc:"* is all"`
	Masked      bool      `json:"masked"`
	Protected   bool      `json:"protected"`
	Raw         bool      `json:"raw"`
	File        bool      `json:"file"`
	Hidden      bool      `json:"hidden,omitempty"`
	Bytes       int64     `json:"bytes"`
	Description string    `json:"description,omitempty"`
	Updated     time.Time `json:"updated"`
	Used        time.Time `json:"used,omitzero"`
}

// VariableInput sets a variable. What is absent stays as it is; a new variable needs
// a value, and is masked and raw unless it says otherwise.
type VariableInput struct {
	Value       *string `json:"value,omitempty"`
	ValueBase64 *[]byte `json:"value_base64,omitempty" doc:"instead of value, for one that is not text"`
	Environment string  `json:"environment,omitempty" doc:"default *, all"`
	Masked      *bool   `json:"masked,omitempty"`
	Protected   *bool   `json:"protected,omitempty"`
	Raw         *bool   `json:"raw,omitempty"`
	File        *bool   `json:"file,omitempty"`
	Description *string `json:"description,omitempty"`
}

// Key is a deploy key of a project or of the server, without its private half.
type Key struct {
	Name        string    `json:"name"`
	Public      string    `json:"public" doc:"to be pasted at the forge"`
	Fingerprint string    `json:"fingerprint"`
	Write       bool      `json:"write"`
	Protected   bool      `json:"protected" doc:"for jobs of protected refs only"`
	Environment string    `json:"environment"`
	Repos       []string  `json:"repos,omitempty"`
	Hosts       []string  `json:"hosts"`
	Page        string    `json:"page,omitempty" doc:"where the public half goes, if the address shows it"`
	Advice      string    `json:"advice" doc:"what to do with the public half"`
	Created     time.Time `json:"created"`
	Used        time.Time `json:"used,omitzero"`
}

// KeyInput makes a deploy key, or takes one that exists.
type KeyInput struct {
	Name        string   `json:"name"`
	Type        string   `json:"type,omitempty" enum:"ed25519,ecdsa,rsa"`
	Private     *string  `json:"private,omitempty" doc:"a key that exists, without a passphrase; absent: one is made"`
	Write       bool     `json:"write,omitempty"`
	Protected   *bool    `json:"protected,omitempty" doc:"default: a key that can push is"`
	Environment string   `json:"environment,omitempty"`
	Repos       []string `json:"repos,omitempty"`
	Hosts       []string `json:"hosts,omitempty"`
	KnownHosts  string   `json:"known_hosts" doc:"lines of a known_hosts file with the keys of all hosts"`
}

// ofProject is the path of what belongs to a project, or to the server for "".
func ofProject(project, what string) string {
	if project == "" {
		return "/api/v1/" + what
	}
	return "/api/v1/projects/" + url.PathEscape(project) + "/" + what
}

// Tokens lists the tokens that are not revoked.
func (c *Client) Tokens(ctx context.Context) (list []Token, err error) {
	return list, c.call(ctx, "GET", "/api/v1/tokens", nil, &list)
}

// AddToken makes a token; its text is in this answer only.
func (c *Client) AddToken(ctx context.Context, in TokenInput) (t NewToken, err error) {
	return t, c.call(ctx, "POST", "/api/v1/tokens", in, &t)
}

// RemoveToken ends a token at once.
func (c *Client) RemoveToken(ctx context.Context, id int64) error {
	return c.call(ctx, "DELETE", fmt.Sprintf("/api/v1/tokens/%d", id), nil, nil)
}

// SignInLink makes an address that signs a browser in as the caller, once.
func (c *Client) SignInLink(ctx context.Context) (l SignInLink, err error) {
	err = c.call(ctx, "POST", "/api/v1/sign-in-links", nil, &l)
	if strings.HasPrefix(l.URL, "/") {
		l.URL = c.base + l.URL
	}
	return l, err
}

// AuditEvents returns a page of the audit.
func (c *Client) AuditEvents(ctx context.Context, project string, limit int, cursor string) (page Audit, err error) {
	q := url.Values{"limit": {fmt.Sprint(limit)}}
	if project != "" {
		q.Set("project", project)
	}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	return page, c.call(ctx, "GET", "/api/v1/audit"+query(q), nil, &page)
}

// Variables lists the variables of a project, or of the server for "".
func (c *Client) Variables(ctx context.Context, project string) (list []Variable, err error) {
	return list, c.call(ctx, "GET", ofProject(project, "variables"), nil, &list)
}

// SetVariable makes or changes a variable.
func (c *Client) SetVariable(ctx context.Context, project, name string, in VariableInput) (v Variable, err error) {
	return v, c.call(ctx, "PUT", ofProject(project, "variables/"+url.PathEscape(name)), in, &v)
}

// RemoveVariable removes the variable of a name and environment.
func (c *Client) RemoveVariable(ctx context.Context, project, name, environment string) error {
	return c.call(ctx, "DELETE", ofProject(project, "variables/"+url.PathEscape(name))+query(url.Values{"environment": {environment}}), nil, nil)
}

// Keys lists the deploy keys of a project, or of the server for "".
func (c *Client) Keys(ctx context.Context, project string) (list []Key, err error) {
	return list, c.call(ctx, "GET", ofProject(project, "keys"), nil, &list)
}

// AddKey makes or takes a deploy key.
func (c *Client) AddKey(ctx context.Context, project string, in KeyInput) (k Key, err error) {
	return k, c.call(ctx, "POST", ofProject(project, "keys"), in, &k)
}

// RemoveKey removes a deploy key.
func (c *Client) RemoveKey(ctx context.Context, project, name string) error {
	return c.call(ctx, "DELETE", ofProject(project, "keys/"+url.PathEscape(name)), nil, nil)
}
