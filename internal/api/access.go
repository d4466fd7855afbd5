package api

import "time"

// Variable is a variable that the server keeps. Its value is never shown.
type Variable struct {
	Project     string     `json:"project,omitempty" doc:"empty for one of all projects"`
	Name        string     `json:"name"`
	Environment string     `json:"environment" doc:"for jobs of this environment; * matches any characters"`
	Protected   bool       `json:"protected" doc:"for jobs of protected refs only"`
	Masked      bool       `json:"masked"`
	Hidden      bool       `json:"hidden,omitempty" doc:"imported as hidden from GitLab"`
	File        bool       `json:"file" doc:"jobs get the path of a file with the value"`
	Raw         bool       `json:"raw" doc:"$ in the value is not expanded"`
	Description string     `json:"description,omitempty"`
	Bytes       int64      `json:"bytes" doc:"size of the value"`
	Version     int64      `json:"version"`
	Updated     time.Time  `json:"updated"`
	Used        *time.Time `json:"used,omitempty" doc:"when an attempt got it last, to the hour"`
}

// VariableInput makes or changes a variable. Fields that are absent stay as they are;
// a new variable needs a value, and is masked and raw unless it says otherwise.
type VariableInput struct {
	Value       *string `json:"value,omitempty"`
	Protected   *bool   `json:"protected,omitempty"`
	Masked      *bool   `json:"masked,omitempty"`
	Hidden      *bool   `json:"hidden,omitempty"`
	File        *bool   `json:"file,omitempty"`
	Raw         *bool   `json:"raw,omitempty"`
	Description *string `json:"description,omitempty"`
}

// DeployKey is a deploy key that the server keeps. Its private half is never shown.
type DeployKey struct {
	Project     string     `json:"project,omitempty" doc:"empty for one that only reaches repositories, of all projects"`
	Name        string     `json:"name"`
	Write       bool       `json:"write" doc:"it is to push too"`
	Protected   bool       `json:"protected" doc:"for jobs of protected refs only"`
	Environment string     `json:"environment"`
	Public      string     `json:"public" doc:"the public half, for the forge"`
	Fingerprint string     `json:"fingerprint"`
	Repos       []string   `json:"repos,omitempty"`
	Hosts       []string   `json:"hosts"`
	Page        string     `json:"page,omitempty" doc:"where the public half goes"`
	Advice      string     `json:"advice" doc:"what to tick there"`
	Created     time.Time  `json:"created"`
	Used        *time.Time `json:"used,omitempty"`
}

// DeployKeyInput makes a deploy key on the server, or gives it one that exists.
type DeployKeyInput struct {
	Name        string   `json:"name"`
	Type        string   `json:"type,omitempty" enum:"ed25519,ecdsa,rsa" doc:"of a key that is made; default ed25519"`
	Key         *string  `json:"key,omitempty" doc:"a private key that exists, without a passphrase"`
	Write       bool     `json:"write,omitempty"`
	Protected   *bool    `json:"protected,omitempty" doc:"absent: a key that can push is"`
	Environment string   `json:"environment,omitempty"`
	Repos       []string `json:"repos,omitempty" doc:"repositories that it is for"`
	Hosts       []string `json:"hosts,omitempty"`
	KnownHosts  string   `json:"known_hosts" doc:"lines of known_hosts with the keys of all hosts"`
}

// Token is a token that the server knows. Its text is shown once, when it is made.
type Token struct {
	ID        int64      `json:"id"`
	Kind      string     `json:"kind" enum:"owner,api,runner,session"`
	Name      string     `json:"name"`
	Scopes    []string   `json:"scopes,omitempty"`
	Project   string     `json:"project,omitempty"`
	Tags      []string   `json:"tags,omitempty"`
	Protected bool       `json:"protected,omitempty"`
	CreatedBy string     `json:"created_by"`
	Created   time.Time  `json:"created"`
	Expires   *time.Time `json:"expires,omitempty"`
	Used      *time.Time `json:"used,omitempty"`
}

// TokenInput makes a token for a program, or for a runner.
type TokenInput struct {
	Name      string   `json:"name"`
	Scopes    []string `json:"scopes,omitempty" doc:"read, run, deploy, write, secret, admin"`
	Project   string   `json:"project,omitempty" doc:"the only project that it sees"`
	Hours     int64    `json:"hours,omitempty" minimum:"0" maximum:"876000" doc:"until it expires; of a program's token at most a year"`
	Runner    bool     `json:"runner,omitempty"`
	Tags      []string `json:"tags,omitempty" doc:"that the runner may have; * for any"`
	Protected bool     `json:"protected,omitempty" doc:"the runner takes jobs of protected refs only"`
}

// NewToken is a token with its text.
type NewToken struct {
	Token
	Text string `json:"token" doc:"shown this once"`
}

// SignInLink signs a browser in, once and within ten minutes.
type SignInLink struct {
	Path    string    `json:"path" doc:"to add to the server's address"`
	Expires time.Time `json:"expires"`
}

// Caller is who a token stands for.
type Caller struct {
	Name    string   `json:"name"`
	Kind    string   `json:"kind"`
	Project string   `json:"project,omitempty"`
	Scopes  []string `json:"scopes"`
}

// AuditEvent is who did what.
type AuditEvent struct {
	ID      int64     `json:"id"`
	At      time.Time `json:"at"`
	Actor   string    `json:"actor"`
	Action  string    `json:"action"`
	Project string    `json:"project,omitempty"`
	Object  string    `json:"object"`
	Detail  string    `json:"detail,omitempty"`
}

// AuditEvents is a page of the audit, newest first.
type AuditEvents struct {
	Events []AuditEvent `json:"events"`
	Cursor string       `json:"cursor,omitempty" doc:"for the next page; absent on the last"`
}
