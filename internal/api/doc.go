// Package api has the wire types of the server's API, /api/v1, and its client. A
// field is only ever added; a name keeps its meaning.
//
// It knows HTTP and JSON. It does not know how a server keeps or decides anything.
package api
