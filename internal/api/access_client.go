package api

import (
	"context"
	"net/url"
	"strconv"
)

// ofProject is the path of something of a project, or of the server if that is "".
func ofProject(project, rest string) string {
	if project == "" {
		return "/api/v1/" + rest
	}
	return "/api/v1/projects/" + url.PathEscape(project) + "/" + rest
}

// Variables lists the variables of a project, "" for those of the server.
func (c *Client) Variables(ctx context.Context, project string) (list []Variable, err error) {
	err = c.call(ctx, "GET", ofProject(project, "variables"), nil, &list)
	return list, err
}

// SetVariable makes or changes a variable.
func (c *Client) SetVariable(ctx context.Context, project, name, environment string, in VariableInput) (v Variable, err error) {
	err = c.call(ctx, "PUT", ofProject(project, "variables/"+url.PathEscape(name))+query(url.Values{"environment": {environment}}), in, &v)
	return v, err
}

// RemoveVariable removes a variable.
func (c *Client) RemoveVariable(ctx context.Context, project, name, environment string) error {
	return c.call(ctx, "DELETE", ofProject(project, "variables/"+url.PathEscape(name))+query(url.Values{"environment": {environment}}), nil, nil)
}

// Keys lists the deploy keys of a project, "" for those of the server.
func (c *Client) Keys(ctx context.Context, project string) (list []DeployKey, err error) {
	err = c.call(ctx, "GET", ofProject(project, "keys"), nil, &list)
	return list, err
}

// AddKey makes a deploy key on the server.
func (c *Client) AddKey(ctx context.Context, project string, in DeployKeyInput) (k DeployKey, err error) {
	err = c.call(ctx, "POST", ofProject(project, "keys"), in, &k)
	return k, err
}

// RemoveKey removes a deploy key.
func (c *Client) RemoveKey(ctx context.Context, project, name string) error {
	return c.call(ctx, "DELETE", ofProject(project, "keys/"+url.PathEscape(name)), nil, nil)
}

// Tokens lists the tokens that work.
func (c *Client) Tokens(ctx context.Context) (list []Token, err error) {
	err = c.call(ctx, "GET", "/api/v1/tokens", nil, &list)
	return list, err
}

// AddToken makes a token. Only this answer has its text.
func (c *Client) AddToken(ctx context.Context, in TokenInput) (t NewToken, err error) {
	err = c.call(ctx, "POST", "/api/v1/tokens", in, &t)
	return t, err
}

// RevokeToken ends a token at once.
func (c *Client) RevokeToken(ctx context.Context, id int64) error {
	return c.call(ctx, "DELETE", "/api/v1/tokens/"+strconv.FormatInt(id, 10), nil, nil)
}

// SignInLink makes a link that signs a browser in as the caller.
func (c *Client) SignInLink(ctx context.Context) (l SignInLink, err error) {
	err = c.call(ctx, "POST", "/api/v1/sign-in-links", nil, &l)
	return l, err
}

// Caller returns who the client's token stands for.
func (c *Client) Caller(ctx context.Context) (who Caller, err error) {
	err = c.call(ctx, "GET", "/api/v1/caller", nil, &who)
	return who, err
}

// Audit returns a page of the audit, of all or of one project; the cursor of the
// first is "".
func (c *Client) Audit(ctx context.Context, project, cursor string, limit int) (page AuditEvents, err error) {
	values := url.Values{"limit": {strconv.Itoa(limit)}}
	if project != "" {
		values.Set("project", project)
	}
	if cursor != "" {
		values.Set("cursor", cursor)
	}
	err = c.call(ctx, "GET", "/api/v1/audit"+query(values), nil, &page)
	return page, err
}

// RotateSecretKeys encrypts all that is secret with a new key; with retire the older
// ones are removed, which is for a single server.
func (c *Client) RotateSecretKeys(ctx context.Context, retire bool) error {
	if err := c.call(ctx, "POST", "/api/v1/secret-keys/rotate", nil, nil); err != nil || !retire {
		return err
	}
	return c.call(ctx, "POST", "/api/v1/secret-keys/retire", nil, nil)
}
