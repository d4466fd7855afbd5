package stack

import (
	_ "embed"
	"fmt"
	"path"
	"strings"
)

//go:embed starter.yml
var starter []byte

// Starter is a configuration to begin with: develop goes to dev, main to prod.
func Starter() []byte { return starter }

// PipelineOptions decide how the pipeline is written.
type PipelineOptions struct {
	Image string // image of the jobs, "" for the runner's own
}

// Pipeline writes the jobs that check, publish, plan and deploy a repository's
// stacks, as an include for GitLab CI and refline run: prepare on every ref, the
// rest where the configuration's refs say so, deploy by hand with the plan file
// and nothing else.
func Pipeline(c *Config, o PipelineOptions) []byte {
	var b strings.Builder
	b.WriteString(`# Made by "refline stack init" from ` + path.Base(c.File) + `; make it again when environments
# or refs change. Every ref is rendered and checked. Where the configuration has
# an environment for the ref, its stacks are published and planned, and somebody
# deploys exactly that plan by hand.
stages: [prepare, publish, plan, deploy]

.stack:
  variables:
    REFLINE_CONFIG: ` + c.File + `
  # How a job gets refline: from the runner's path, from the image (stack init --image),
  # or by a download whose sum is checked: set REFLINE_URL and REFLINE_SHA256.
  before_script:
    - |
      if [ -z "$REFLINE_BIN" ] && ! command -v refline > /dev/null; then
        tools=$(mktemp -d)
        curl -fsSL -o "$tools/refline" "$REFLINE_URL"
        echo "$REFLINE_SHA256  $tools/refline" | sha256sum -c -
        chmod +x "$tools/refline"
        export PATH="$tools:$PATH"
      fi
`)
	if o.Image != "" {
		fmt.Fprintf(&b, "  image: %s\n", quote(o.Image))
	}
	job(&b, "stack-render", "prepare", nil, `    - ${REFLINE_BIN:-refline} stack render --config "$REFLINE_CONFIG" -o rendered
  artifacts:
    paths: [rendered/]
    expire_in: 1 week
`)
	job(&b, "stack-check", "prepare", nil, `    - ${REFLINE_BIN:-refline} stack lint --config "$REFLINE_CONFIG"
`)
	for _, e := range c.Environments {
		e.jobs(&b)
	}
	return []byte(b.String())
}

// jobs writes what an environment does for its refs.
func (e *Environment) jobs(b *strings.Builder) {
	var plans, deploys []string
	for _, r := range e.Refs {
		if r.Mode == ModeLint {
			continue
		}
		plans = append(plans, r.condition())
		if r.Mode == ModeDeploy {
			deploys = append(deploys, r.condition())
		}
	}
	if len(plans) == 0 {
		return
	}
	if e.Bucket != "" {
		job(b, "stack-publish-"+e.Name, "publish", plans,
			`    - ${REFLINE_BIN:-refline} stack publish --config "$REFLINE_CONFIG" --env `+e.Name+"\n")
	}
	folder := "plans/" + e.Name
	job(b, "stack-plan-"+e.Name, "plan", plans,
		`    - ${REFLINE_BIN:-refline} stack plan --config "$REFLINE_CONFIG" --env `+e.Name+` -o `+folder+` --html `+folder+`/plan.html --markdown `+folder+`/plan.md
  artifacts:
    paths: [`+folder+`/]
    when: always
    expire_in: 1 week
`)
	if len(deploys) == 0 {
		return
	}
	fmt.Fprintf(b, "\nstack-deploy-%s:\n  extends: .stack\n  stage: deploy\n  rules:\n", e.Name)
	for _, d := range deploys {
		fmt.Fprintf(b, "    - if: %s\n      when: manual\n", d)
	}
	fmt.Fprintf(b, `  needs: [stack-plan-%[1]s]
  environment:
    name: %[1]s
  resource_group: stack-%[1]s
  script:
    - ${REFLINE_BIN:-refline} stack deploy --config "$REFLINE_CONFIG" %[2]s
`, e.Name, folder)
}

// job writes a job up to its script's first line and what follows.
func job(b *strings.Builder, name, stage string, conditions []string, script string) {
	fmt.Fprintf(b, "\n%s:\n  extends: .stack\n  stage: %s\n", name, stage)
	if len(conditions) > 0 {
		b.WriteString("  rules:\n")
	}
	for _, c := range conditions {
		fmt.Fprintf(b, "    - if: %s\n", c)
	}
	b.WriteString("  script:\n" + script)
}

// condition is the rule as GitLab's rules:if.
func (r RefRule) condition() string {
	variable, pattern := "$CI_COMMIT_BRANCH", r.Branch
	if r.Tag != "" {
		variable, pattern = "$CI_COMMIT_TAG", r.Tag
	}
	text := ""
	if _, is := expression(pattern); is {
		text = variable + " =~ " + pattern
	} else if strings.ContainsAny(pattern, `*?[\`) {
		text = variable + " =~ /" + globExpression(pattern) + "/"
	} else {
		text = variable + ` == "` + pattern + `"`
	}
	return quote(text)
}

// quote is a YAML scalar that no reader takes for something else.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// globExpression is a pattern of names as a regular expression.
func globExpression(pattern string) string {
	for strings.Contains(pattern, "**/**") {
		pattern = strings.ReplaceAll(pattern, "**/**", "**") // any number of steps, twice
	}
	var b strings.Builder
	b.WriteByte('^')
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case strings.HasPrefix(pattern[i:], "**/"):
			b.WriteString(`(.*\/)?`)
			i += 2
		case strings.HasPrefix(pattern[i:], "/**") && i+3 == len(pattern):
			b.WriteString(`(\/.*)?`)
			i += 2
		case strings.HasPrefix(pattern[i:], "**"):
			b.WriteString(`.*`)
			i++
		case c == '*':
			b.WriteString(`[^\/]*`)
		case c == '?':
			b.WriteString(`[^\/]`)
		case c == '[', c == ']':
			b.WriteByte(c)
		case c == '/':
			b.WriteString(`\/`)
		case c == '\\' && i+1 < len(pattern):
			i++
			b.WriteString(`\` + string(pattern[i]))
		case strings.IndexByte(`.+()|^${}`, c) >= 0:
			b.WriteString(`\` + string(c))
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('$')
	return b.String()
}
