// Package planfile holds what a plan file says: the change set, every change a
// reviewer sees, what the plan was made from, and a digest over all of it.
//
// It promises that a file that was changed is refused, and that everybody who
// shows a plan uses the same words. It does not know how a plan is made or
// deployed, nor a cloud.
package planfile
