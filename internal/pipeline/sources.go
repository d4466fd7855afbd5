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
func (g *Graph) ArtifactSources(pos int) Sources {
	var out Sources
	job := &g.p.Jobs[pos]
	for _, n := range job.Needs {
		from, known := g.at[n.Job]
		switch {
		case !n.Artifacts:
		case n.Project != "":
			out.Projects = append(out.Projects, n)
		case n.Pipeline != "":
			out.Parent = append(out.Parent, n.Job)
		case known && job.dependsOn(&g.p.Jobs[from]):
			out.Jobs = append(out.Jobs, from)
		}
	}
	if job.DAG {
		slices.Sort(out.Jobs)
		out.Jobs = slices.Compact(out.Jobs)
		return out
	}
	for i := range g.p.Jobs {
		if g.p.Jobs[i].Stage == job.Stage {
			break
		}
		if job.dependsOn(&g.p.Jobs[i]) {
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
