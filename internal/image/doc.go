// Package image makes container images without a container engine, and reads what
// it made: the files of one commit as one layer on a base image, with a manifest of
// the flows in it ([Build], [Open]), and Refline's own image ([Pack]).
//
// The same files, time and base give the same digest: entries are in the order of
// their names, belong to user 0, have mode 0644 or 0755 and the time of the commit,
// and the compression is fixed. A layer never holds what only this computer knows.
//
// It alone speaks to registries. It knows nothing of git, of pipelines and of what
// a manifest's definition means.
package image
