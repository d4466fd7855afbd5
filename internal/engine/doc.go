// Package engine runs one attempt of one job ([RunJob]), for a local run and for
// a server's runner alike.
//
// It promises what GitLab's runner does around a script: a fresh workspace of
// the run's files, caches and artifacts, one shell that stops at the first
// failure, after_script, timeouts, an end in order; that nothing a job started
// is left running and nothing half made is used later; and that every byte it
// hands on went through the masker. What becomes of a run is decided by
// [pipeline.Graph.Advance], not here.
//
// It refuses to know how a pipeline is written, where its code comes from, what
// a container is, and how anything is shown.
package engine
