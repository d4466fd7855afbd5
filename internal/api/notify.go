package api

import (
	"context"
	"net/url"
	"time"
)

// Notification is a rule: who is notified of which changes of runs. Addresses of
// webhooks and chats are secrets and not shown.
type Notification struct {
	Project string    `json:"project,omitempty" doc:"empty for one of all projects"`
	Name    string    `json:"name"`
	Kind    string    `json:"kind" enum:"webhook,slack,email"`
	Events  []string  `json:"events"`
	Host    string    `json:"host,omitempty" doc:"of a webhook or chat"`
	To      []string  `json:"to,omitempty" doc:"addresses of mail"`
	Signed  bool      `json:"signed,omitempty"`
	Text    string    `json:"template,omitempty"`
	Actor   string    `json:"actor,omitempty"`
	Created time.Time `json:"created"`
}

// NotificationInput makes or changes a rule. What is absent stays as it is; a new
// rule needs one of the addresses.
type NotificationInput struct {
	Events     []string `json:"events,omitempty" doc:"failure, recovery, waiting; absent for a new rule: failure and recovery"`
	WebhookURL *string  `json:"webhook_url,omitempty"`
	SlackURL   *string  `json:"slack_url,omitempty"`
	Email      []string `json:"email,omitempty"`
	Secret     *string  `json:"secret,omitempty" doc:"signs the messages to a webhook"`
	Template   *string  `json:"template,omitempty"`
}

func notificationPath(project, name string) string {
	return ofProject(project, "notifications/"+url.PathEscape(name))
}

// Notifications lists the rules of a project and those of all projects.
func (c *Client) Notifications(ctx context.Context, project string) (list []Notification, err error) {
	err = c.call(ctx, "GET", ofProject(project, "notifications"), nil, &list)
	return list, err
}

// SetNotification makes or changes a rule.
func (c *Client) SetNotification(ctx context.Context, project, name string, in NotificationInput) (n Notification, err error) {
	err = c.call(ctx, "PUT", notificationPath(project, name), in, &n)
	return n, err
}

// RemoveNotification removes a rule.
func (c *Client) RemoveNotification(ctx context.Context, project, name string) error {
	return c.call(ctx, "DELETE", notificationPath(project, name), nil, nil)
}

// TestNotification sends a sample and returns what came of it.
func (c *Client) TestNotification(ctx context.Context, project, name string) error {
	return c.call(ctx, "POST", notificationPath(project, name)+"/test", nil, nil)
}
