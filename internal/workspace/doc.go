// Package workspace makes the folders that jobs work in, and takes files out of
// them.
//
// A [Tree] is the files that every job of a run starts from. A [Workspace] is a
// copy of it for one job: a mount, files that share their blocks, or plain copies,
// whichever is the cheapest here. A [Selection] is what artifacts or a cache take
// out of a workspace.
//
// The package promises that a job changes neither the tree nor another workspace,
// that links made by a job lead nowhere outside, and that removal never enters a
// mount. It does not know what a job is, nor what is kept.
package workspace
