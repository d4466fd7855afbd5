// Package server answers requests: of runners, programs, forges and people.
package server
