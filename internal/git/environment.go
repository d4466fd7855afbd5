package git

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Trust says whose git and ssh configuration applies when talking to a remote.
// Commands that write a mirror or a checkout never see any but ours.
type Trust uint8

const (
	// Server uses no configuration but Access, and only https and ssh.
	Server Trust = iota
	// User uses the configuration of the person at this computer: credential
	// helpers, url.insteadOf, proxies, ssh_config, agent and known_hosts.
	User
)

// devNull is the empty file as git knows it; Git for Windows maps it.
const devNull = "/dev/null"

// userMayKeep are the variables of git that stay in force for a User. The rest
// is dropped: it points at another repository, prints secrets (GIT_TRACE_CURL)
// or asks questions.
var userMayKeep = []string{
	"GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_ASKPASS", "GIT_EXEC_PATH",
	"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_COUNT",
	"GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_CERT", "GIT_SSL_KEY",
	"GIT_HTTP_PROXY_AUTHMETHOD", "GIT_PROXY_SSL_CAINFO", "GIT_PROXY_SSL_CERT", "GIT_PROXY_SSL_KEY",
}

// serverMayKeep are the variables that a program needs to start and to reach the
// network; none carries a person's identity.
var serverMayKeep = []string{
	"PATH", "TMPDIR", "TMP", "TEMP", "TZ", "GIT_EXEC_PATH",
	"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "PROGRAMDATA",
	"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR",
}

// userEnvironment is base without what would mislead git or make it prompt.
func userEnvironment(base []string) []string {
	return quiet(keep(base, func(name string) bool {
		if strings.HasPrefix(name, "GIT_") {
			return slices.Contains(userMayKeep, name) ||
				strings.HasPrefix(name, "GIT_CONFIG_KEY_") || strings.HasPrefix(name, "GIT_CONFIG_VALUE_")
		}
		return name != "SSH_ASKPASS" && name != "LANGUAGE" && name != "LANG" && !strings.HasPrefix(name, "LC_")
	}))
}

// ownEnvironment is that of commands on mirrors and checkouts, and of every
// command under Server: no configuration file but the repository's.
func ownEnvironment(base []string, home string) []string {
	env := keep(base, func(name string) bool {
		return slices.Contains(serverMayKeep, strings.ToUpper(name))
	})
	return append(quiet(env),
		"HOME="+home, "XDG_CONFIG_HOME="+filepath.Join(home, "none"),
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+devNull, "GIT_ATTR_NOSYSTEM=1",
	)
}

func keep(base []string, wanted func(name string) bool) []string {
	if base == nil {
		base = os.Environ()
	}
	var env []string
	for _, e := range base {
		if name, _, ok := strings.Cut(e, "="); ok && wanted(name) {
			env = append(env, e)
		}
	}
	return env
}

func quiet(env []string) []string {
	return append(env, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GCM_INTERACTIVE=never", "GIT_OPTIONAL_LOCKS=0",
		"GIT_LFS_SKIP_SMUDGE=1")
}

// hardened stops what a repository or its remote could make git run or follow.
// Each line answers a case of attack_test.go.
func hardened() []setting {
	return []setting{
		{"core.hooksPath", devNull},
		{"core.fsmonitor", "false"},
		{"core.pager", "cat"},
		{"safe.bareRepository", "explicit"},
		{"submodule.recurse", "false"},
		{"fetch.recurseSubmodules", "false"},
		{"protocol.ext.allow", "never"},
		{"core.fsync", "none"}, // after a crash the mirror heals, and the pool is not used
		{"gc.auto", "0"},
		{"maintenance.auto", "false"},
		{"advice.detachedHead", "false"},
	}
}

// hardenedFiles is for commands that write files: filters and attributes from
// outside the commit have no effect.
func hardenedFiles() []setting {
	return append(hardened(),
		setting{"core.attributesFile", devNull},
		setting{"core.excludesFile", devNull},
		setting{"core.autocrlf", "false"},
		setting{"core.protectHFS", "true"},
		setting{"core.protectNTFS", "true"},
		setting{"checkout.workers", strconv.Itoa(checkoutWorkers(runtime.NumCPU()))},
	)
}

// checkoutWorkers is how many processes write files. Handing the files to them
// costs half as much again as writing them, so it takes some to win.
func checkoutWorkers(processors int) int {
	if processors < 4 {
		return 1
	}
	return min(processors, 8)
}

// hardenedFetch is for commands that take objects from a remote.
func hardenedFetch() []setting {
	settings := append(hardened(),
		setting{"fetch.fsckObjects", "true"},
		setting{"transfer.bundleURI", "false"},
		setting{"fetch.unpackLimit", "1"}, // objects come as one pack, whole or not at all
		setting{"http.lowSpeedLimit", "1000"},
	)
	// Faults of old, honest history that every forge serves.
	for _, id := range []string{
		"zeroPaddedFilemode", "zeroPaddedDate", "badDate", "badDateOverflow", "badTimezone",
		"missingSpaceBeforeDate", "missingSpaceBeforeEmail", "badEmail", "missingEmail", "badName",
		"missingNameBeforeEmail", "multipleAuthors", "missingTaggerEntry", "badTagName", "nulInCommit",
	} {
		settings = append(settings, setting{"fetch.fsck." + id, "ignore"})
	}
	return settings
}
