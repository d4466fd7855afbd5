package lint

import (
	"strings"
	"time"

	"refline/internal/cfn"
)

// pattern keeps an expression of a hand-written rule compiled.
func (b *rulebook) pattern(text string) *pattern {
	return b.written(`{"pattern":` + quoteJSON(text) + `}`).pattern
}

// written compiles a schema that is written in the code, once.
func (b *rulebook) written(text string) *schema {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s, ok := b.schemas[text]; ok {
		return s
	}
	s := permissive
	if raw, ok := decode(text); ok {
		s = compile(raw)
	}
	b.schemas[text] = s
	return s
}

// services are the actions of every service, in small letters.
func (b *rulebook) services() map[string][]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.actions == nil {
		b.actions = map[string][]string{}
		// An archive that cannot be read has been reported by now.
		_ = b.archive.load("spec/Policies", &b.actions) //nolint:errcheck // see above
	}
	return b.actions
}

// stateful are the types of resources that hold data.
func (b *rulebook) stateful() map[string]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.holding == nil {
		b.holding = map[string]bool{}
		var spec struct {
			ResourceTypes map[string]struct{ DeleteRequiresEmptyResource bool }
		}
		if err := b.archive.load("spec/StatefulResources", &spec); err == nil {
			for name, t := range spec.ResourceTypes {
				if !t.DeleteRequiresEmptyResource {
					b.holding[name] = true
				}
			}
		}
	}
	return b.holding
}

// runtimeLife is when a runtime of Lambda ends.
type runtimeLife struct{ Deprecated, CreateBlock, UpdateBlock, Successor string }

func (b *rulebook) runtimes() map[string]runtimeLife {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lives == nil {
		b.lives = map[string]runtimeLife{}
		var spec map[string]map[string]any
		if err := b.archive.load("spec/LmbdRuntimeLifecycle", &spec); err == nil {
			for name, v := range spec {
				text := func(key string) string { s, _ := v[key].(string); return s }
				b.lives[name] = runtimeLife{text("deprecated"), text("create-block"), text("update-block"), text("successor")}
			}
		}
	}
	return b.lives
}

// runtimeEnded reports runtimes that are deprecated (W2531), no longer can be
// created (E2531) or updated (E2533).
func runtimeEnded(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if !n.IsString() {
		return
	}
	life, ok := e.lint.runtimes()[n.Text]
	if !ok {
		return
	}
	today := e.today().Format(time.DateOnly)
	past := func(day string) bool { return day != "" && day < today }
	state := "W2531"
	switch {
	case past(life.UpdateBlock):
		state = "E2533"
	case past(life.CreateBlock):
		state = "E2531"
	case !past(life.Deprecated):
		return
	}
	if state != b.id {
		return
	}
	hint := ""
	if life.Successor != "" {
		hint = "use " + life.Successor
	}
	words := map[string]string{"W2531": "is deprecated since " + life.Deprecated, "E2531": "can no longer be used for new functions, since " + life.CreateBlock,
		"E2533": "can no longer be used for updates, since " + life.UpdateBlock}
	wrong(b, at.path, "the runtime "+n.Text+" "+words[b.id], hint, out)
}

func quoteJSON(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
