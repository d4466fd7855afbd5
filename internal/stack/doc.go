// Package stack plans, reviews and deploys the CloudFormation stacks of a
// repository.
//
// A configuration names stacks and environments; a ref chooses the
// environments; a plan is a change set with everything a reviewer needs and a
// digest over what was reviewed; a deployment executes exactly that plan. The
// package works on values and writes only where the caller says.
//
// It refuses to know a cloud's own client (see [Cloud]), a terminal, or a
// server.
package stack
