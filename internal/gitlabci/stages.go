package gitlabci

import (
	"slices"
	"strings"
)

// The stages that every pipeline has, first and last.
const (
	preStage  = ".pre"
	postStage = ".post"
)

// readStages gives the stages in order, with .pre and .post around them.
func (c *compiler) readStages() []string {
	stages := []string{"build", defaultStage, "deploy"}
	if n := c.root.get("stages"); n != nil && absent(n) {
		c.reader("").editor(n, "stages", "is empty and ignored")
	} else if n != nil {
		r := c.reader("")
		if n.kind == seqNode {
			stages = r.script(n, "stages")
		} else {
			r.wrong(n, "stages", "a list of names")
		}
	}
	out := make([]string, 1, len(stages)+2)
	out[0] = preStage
	for _, s := range stages {
		if s != postStage && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return append(out, postStage)
}

// stageIndex is -1 for a stage that does not exist.
func (c *compiler) stageIndex(stage string) int { return slices.Index(c.stages, stage) }

// knowsStages reports whether there can be no other stages: what the root file
// itself says of them goes before what others say.
func (c *compiler) knowsStages() bool {
	if c.complete {
		return true
	}
	n := c.root.get("stages")
	return !absent(n) && n.at.File == c.result.Files[0].label() && !holdsBlock(n)
}

// checkStage reports a job whose stage is not one of the stages.
func (c *compiler) checkStage(w *parsedJob) {
	stage := w.job.Stage
	if slices.Contains(c.stages, stage) || !c.knowsStages() {
		return
	}
	n := w.node.get("stage")
	if absent(n) {
		if !c.complete { // it may be in the missing file
			return
		}
		c.f.errorf(w.at, w.name, "stage", "job %s has no stage, and the default, test, is not among the stages", quote(w.name))
		c.f.underline(w.name)
		c.f.hint("give it one of " + strings.Join(c.stages, ", "))
		return
	}
	if n.kind == stringNode && w.r.errorf(n, "stage", "stage", "%s is not among the stages", quote(stage)) {
		hint := didYouMean(stage, c.stages)
		if hint == "" {
			hint = "they are " + strings.Join(c.stages, ", ")
		}
		c.f.hint(hint)
	}
}
