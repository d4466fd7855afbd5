package webhook

import "strings"

// readGitea reads events of Gitea and Forgejo: https://docs.gitea.com/usage/webhooks,
// https://forgejo.org/docs/latest/user/webhooks/.
func readGitea(e *Event, body []byte) error {
	var in hubEvent
	if err := decode(body, &in); err != nil {
		return err
	}
	e.Project, e.Actor = in.Repository.event(), in.Sender.event()
	switch e.Name {
	case "push":
		e.Kind, e.Changes = KindPush, []RefChange{in.change()}
		if in.Before == in.After && objectID(in.After) != "" && !IsZero(in.After) {
			e.Kind = KindTest
		}
	case "create", "delete":
		e.Kind, e.Changes = KindPush, in.announced(e.Name == "delete")
	case "repository":
		e.Kind = KindRepository
	case "issue_comment", "pull_request_comment":
		in.readComment(e)
	default:
		// Each sort of change has an event of its own: pull_request_sync,
		// pull_request_label, pull_request_approved, …
		if in.PullRequest == nil || !strings.HasPrefix(e.Name, "pull_request") {
			return nil
		}
		e.Kind, e.MergeRequest = KindMergeRequest, in.PullRequest.event(in.Number)
		m := e.MergeRequest
		m.RawAction, m.Action = in.Action, in.pullAction()
		m.Draft = m.Draft || workInProgress(m.Title)
	}
	return nil
}

// workInProgress reports whether a title marks a draft: the prefixes are Gitea's
// defaults. Old servers say it by the title only.
func workInProgress(title string) bool {
	title = strings.ToUpper(title)
	return strings.HasPrefix(title, "WIP:") || strings.HasPrefix(title, "[WIP]")
}
