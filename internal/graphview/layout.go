package graphview

import "refline/internal/pipeline"

// The layout is a layered drawing (Sugiyama, Tagawa and Toda, 1981):
//
//  1. A stage is one layer, or several if its jobs need each other. An edge that
//     skips layers gets a waypoint in each of them (this file).
//  2. Each layer is sorted by the mean position of its neighbours, back and
//     forth; the order with the fewest crossings wins (order.go).
//  3. Each spot moves as near to the mean height of its neighbours as the spots
//     above and below it allow (height.go).

// spot is the place of a job, or of a waypoint of a long edge.
type spot struct {
	job        int // -1 for a waypoint
	layer      int
	x, y, w, h float64 // x and y of the top left corner
	before     []int   // spots of the previous layer that are connected to it
	after      []int   // spots of the next layer
}

func (s *spot) middle() float64 { return s.y + s.h/2 }

type layout struct {
	spots  []spot
	layers [][]int  // spots from top to bottom
	stages [][2]int // first and last layer of each stage
	edges  [][]int  // spots from a job over waypoints to a job
}

const (
	jobGap         = 12.0
	waypointHeight = 4.0
	maxWaypoints   = 4000 // a drawing that needs more has straight edges instead
)

// place lays out all jobs; size returns the width and height of a job.
func place(p *pipeline.Pipeline, g *pipeline.Graph, size func(job int) (w, h float64)) *layout {
	l := &layout{}
	layerOf := make([]int, len(p.Jobs))
	for k := range p.Stages {
		first := len(l.layers)
		l.layers = append(l.layers, nil)
		for _, i := range g.StageJobs(k) {
			layerOf[i] = first
			for _, n := range g.Needs(i) {
				layerOf[i] = max(layerOf[i], layerOf[n]+1)
			}
			for len(l.layers) <= layerOf[i] {
				l.layers = append(l.layers, nil)
			}
		}
		l.stages = append(l.stages, [2]int{first, len(l.layers) - 1})
	}
	waypoints := 0
	for i := range p.Jobs {
		w, h := size(i)
		l.add(spot{job: i, layer: layerOf[i], w: w, h: h})
		for _, n := range g.Needs(i) {
			waypoints += layerOf[i] - layerOf[n] - 1
		}
	}
	for i := range p.Jobs {
		for _, n := range g.Needs(i) {
			l.connect(n, i, waypoints <= maxWaypoints)
		}
	}
	l.sortLayers()
	l.setHeights()
	return l
}

func (l *layout) add(s spot) int {
	l.spots = append(l.spots, s)
	at := len(l.spots) - 1
	l.layers[s.layer] = append(l.layers[s.layer], at)
	return at
}

// connect adds the edge from one job to another, with waypoints in the layers
// between if asked for.
func (l *layout) connect(from, to int, waypoints bool) {
	path := []int{from}
	for layer := l.spots[from].layer + 1; waypoints && layer < l.spots[to].layer; layer++ {
		path = append(path, l.add(spot{job: -1, layer: layer, h: waypointHeight}))
	}
	path = append(path, to)
	for k := 1; k < len(path); k++ {
		a, b := path[k-1], path[k]
		if l.spots[b].layer == l.spots[a].layer+1 {
			l.spots[a].after = append(l.spots[a].after, b)
			l.spots[b].before = append(l.spots[b].before, a)
		}
	}
	l.edges = append(l.edges, path)
}
