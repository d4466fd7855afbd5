package pipeline

import "slices"

// Sources are the jobs whose artifacts and dotenv variables a job takes.
type Sources struct {
	Jobs     []int    // positions in Pipeline.Jobs
	Parent   []string // jobs of the parent pipeline, by needs:pipeline
	Projects []Need   // jobs of other projects, by needs:project
}

// ArtifactSources decides whose artifacts the job at a position takes: those of
// its needs, else of all earlier stages, and of these only the ones that
// dependencies names. Their order is the pipeline's, however they are named, as
// on GitLab: later artifacts replace files of earlier ones.
func ArtifactSources(p *Pipeline, pos int) Sources {
	var out Sources
	job := &p.Jobs[pos]
	for _, n := range job.Needs {
		switch {
		case !n.Artifacts:
		case n.Project != "":
			out.Projects = append(out.Projects, n)
		case n.Pipeline != "":
			out.Parent = append(out.Parent, n.Job)
		}
	}
	for i := range p.Jobs {
		from := &p.Jobs[i]
		if !job.DAG && from.Stage == job.Stage {
			break
		}
		needed := !job.DAG || slices.ContainsFunc(job.Needs, func(n Need) bool {
			return n.Job == from.Name && n.Artifacts && n.Project == "" && n.Pipeline == ""
		})
		if needed && job.dependsOn(from) {
			out.Jobs = append(out.Jobs, i)
		}
	}
	return out
}

// dependsOn reports whether dependencies lets artifacts of another job in.
func (j *Job) dependsOn(from *Job) bool {
	d := j.Dependencies
	return d == nil || slices.Contains(*d, from.Name) || slices.Contains(*d, from.Base)
}
