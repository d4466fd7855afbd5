package git

import (
	"context"
	"runtime"
	"strings"

	"refline/internal/errs"
)

// sshCommand is the GIT_SSH_COMMAND for addr, "" if git's own choice is used. It
// never prompts, never learns a host key, and gives up on a dead peer. more are
// further options.
func (a Access) sshCommand(ctx context.Context, addr address, env, more []string) (string, error) {
	if addr.scheme != "ssh" {
		return "", nil
	}
	command := "ssh"
	if a.Trust == User {
		if lookup(env, "GIT_SSH") != "" && lookup(env, "GIT_SSH_COMMAND") == "" {
			return "", nil // a program that may not know OpenSSH's options
		}
		command = a.userSSH(ctx, env)
	}
	options := []string{"BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=20",
		"ServerAliveInterval=15", "ServerAliveCountMax=4"}
	options = append(options, more...)
	files := []struct{ option, value string }{
		{"UserKnownHostsFile", a.KnownHosts}, {"IdentityAgent", a.IdentityAgent},
	}
	if a.Trust == Server {
		command += " -F " + devNull
		options = append(options, "GlobalKnownHostsFile="+devNull, "IdentityFile=none",
			"ForwardAgent=no", "ClearAllForwardings=yes", "PermitLocalCommand=no", "UpdateHostKeys=no")
		files[0].value = or(files[0].value, devNull)
		files[1].value = or(files[1].value, "none")
	}
	for _, f := range files {
		if f.value == "" {
			continue
		}
		if strings.ContainsAny(f.value, "\"\n") {
			return "", errs.E(errs.Invalid, "%s: the path %q has a character that ssh cannot take", f.option, f.value)
		}
		value := strings.ReplaceAll(f.value, "%", "%%")
		if runtime.GOOS == "windows" {
			value = strings.ReplaceAll(value, `\`, "/")
		}
		options = append(options, f.option+`="`+value+`"`)
	}
	for _, o := range options {
		command += " -o " + shellQuote(o)
	}
	return command, nil
}

// userSSH is the ssh command that the user's environment or configuration
// names, since GIT_SSH_COMMAND would hide core.sshCommand.
func (a Access) userSSH(ctx context.Context, env []string) string {
	if command := lookup(env, "GIT_SSH_COMMAND"); command != "" {
		return command
	}
	out, err := process{args: []string{"config", "--global", "--get", "core.sshCommand"}, env: env}.output(ctx)
	if command := strings.TrimSpace(string(out)); err == nil && command != "" {
		return command
	}
	return "ssh"
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func lookup(env []string, name string) string {
	value := ""
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v
		}
	}
	return value
}
