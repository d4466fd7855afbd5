// Package localrun runs a whole pipeline in this process: it starts jobs as
// [pipeline.Graph.Advance] says, runs each by the engine, runs child pipelines, and
// keeps the record of the run.
//
// It promises that nothing a run started is left when it returns, and that states
// are only what the rules in pipeline decide. It does not know flags, how a pipeline
// is written, what an executor is made of, or how anything is shown.
package localrun
