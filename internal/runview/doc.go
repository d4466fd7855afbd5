// Package runview writes pipelines and runs of this computer as text and JSON:
// explanations, lists of jobs, runs and their logs, and the end of a run.
//
// Each function writes one result. Names that come from a pipeline cannot control the
// terminal. It does not know flags, and live lines are termview's.
package runview
