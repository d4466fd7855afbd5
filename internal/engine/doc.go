// Package engine runs one attempt of one job ([RunJob]), for a local run and for
// a server's runner alike.
//
// It promises what GitLab's runner does around a script: a fresh workspace of
// the run's files, caches and artifacts, one shell that stops at the first
// failure, after_script, timeouts, orderly shutdown. Nothing that a job started is
// left running, and partial results are never reused. Every byte that leaves it
// went through the masker, and the stored log is searched for secrets at the end.
//
// It does not know what becomes of a run ([pipeline.Graph.Advance] decides), how a
// pipeline is written, where its code comes from, what a container is, and how
// anything is shown.
package engine
