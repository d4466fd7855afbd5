package browsertest

import (
	"context"

	"refline/internal/api"
)

// brokenFile has mistakes for the page that finds them.
const brokenFile = `
stages: [build]
"<script>alert(1)</script>":
  stage: build
  scirpt: [echo]
deploy:
  stage: build
  needs: [biuld]
  script: [echo]
`

// hostileBranch is a name that git allows.
const hostileBranch = `hostile/"><svg/onload=alert(1)>`

// fillSettings makes what the pages about a project and the server show.
func (w *world) fillSettings(ctx context.Context, project string) error {
	masked, value, hostile := true, canary, "<script>alert(1)</script>"
	if _, err := w.client.SetVariable(ctx, project, "API_TOKEN", "", api.VariableInput{Value: &value, Masked: &masked, Description: &hostile}); err != nil {
		return err
	}
	plain, shown := false, "landing"
	if _, err := w.client.SetVariable(ctx, project, "SCHEMA", "staging", api.VariableInput{Value: &shown, Masked: &plain}); err != nil {
		return err
	}
	if _, err := w.client.AddKey(ctx, project, api.DeployKeyInput{Name: "deploy", Repos: []string{"git@git.example.com:data/warehouse.git"},
		KnownHosts: "git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIccJBFnmhAvT8Wbu3NEQn7vP1lbK/gcmMUVlXUSWuiW"}); err != nil {
		return err
	}
	if _, err := w.client.SetHook(ctx, project, api.HookInput{Forge: "gitlab", Address: "https://ci.example.com"}); err != nil {
		return err
	}
	if _, err := w.client.SetRuntime(ctx, api.Runtime{Name: "python", Executor: "docker", Image: "python:3.13", Env: map[string]string{"LEVEL": canary}}); err != nil {
		return err
	}
	if _, err := w.client.SetSlot(ctx, "warehouse", 2); err != nil {
		return err
	}
	for _, t := range []api.TokenInput{{Name: "nightly", Scopes: []string{"run"}, Project: project, Hours: 24}, {Name: "gpu-box", Runner: true, Tags: []string{"gpu"}}} {
		if _, err := w.client.AddToken(ctx, t); err != nil {
			return err
		}
	}
	address := "https://hooks.example.com/" + canary
	_, err := w.client.SetNotification(ctx, "", "team", api.NotificationInput{WebhookURL: &address})
	return err
}
