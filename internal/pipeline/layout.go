package pipeline

import (
	"cmp"
	"slices"
)

// A layered drawing in the manner of Sugiyama: every stage is one layer or, when
// jobs of a stage need each other, several; a need that skips layers is led
// through them by points; the order in a layer is the one with few crossings
// that sorting by the neighbours' mean finds; heights follow the neighbours as
// far as there is room.

// spot is where a job, or a point of a long edge, is drawn.
type spot struct {
	job        int // -1 for a point
	layer      int
	x, y, w, h float64 // y of its top
	before     []int   // spots that lead to it
	after      []int
}

func (s *spot) middle() float64 { return s.y + s.h/2 }

type layout struct {
	spots  []spot
	layers [][]int // spots from top to bottom
	stages [][2]int
	edges  [][]int // spots from a job over points to a job
}

const (
	jobGap      = 12.0
	pointHeight = 4.0
	maxPoints   = 4000 // a bigger drawing leads its edges straight
)

// place lays out all jobs; size gives what a job needs.
func (g *Graph) place(size func(job int) (w, h float64)) *layout {
	l := &layout{}
	layerOf := make([]int, len(g.p.Jobs))
	for _, jobs := range g.stages {
		first := len(l.layers)
		l.layers = append(l.layers, nil)
		for _, i := range jobs {
			layerOf[i] = first
			for _, n := range g.needs[i] {
				if g.stage[n] == g.stage[i] {
					layerOf[i] = max(layerOf[i], layerOf[n]+1)
				}
			}
			for len(l.layers) <= layerOf[i] {
				l.layers = append(l.layers, nil)
			}
		}
		l.stages = append(l.stages, [2]int{first, len(l.layers) - 1})
	}
	for i := range g.p.Jobs {
		w, h := size(i)
		l.add(spot{job: i, layer: layerOf[i], w: w, h: h})
	}
	long := 0
	for i, needs := range g.needs {
		for _, n := range needs {
			long += layerOf[i] - layerOf[n] - 1
		}
	}
	for i, needs := range g.needs {
		for _, n := range needs {
			l.connect(n, i, long <= maxPoints)
		}
	}
	l.order()
	l.stack()
	return l
}

func (l *layout) add(s spot) int {
	l.spots = append(l.spots, s)
	at := len(l.spots) - 1
	l.layers[s.layer] = append(l.layers[s.layer], at)
	return at
}

// connect leads an edge from one job to another, by points where it is long.
func (l *layout) connect(from, to int, points bool) {
	path := []int{from}
	for layer := l.spots[from].layer + 1; points && layer < l.spots[to].layer; layer++ {
		path = append(path, l.add(spot{job: -1, layer: layer, h: pointHeight}))
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

// order sorts each layer by the mean position of the neighbours, to and fro,
// and keeps the best it sees.
func (l *layout) order() {
	best, fewest := l.orders(), l.crossings()
	for sweep := 0; sweep < 8 && fewest > 0; sweep++ {
		rank := make([]float64, len(l.spots))
		visit := func(layer int, side func(*spot) []int) {
			spots := l.layers[layer]
			mean := make(map[int]float64, len(spots))
			for pos, s := range spots {
				mean[s] = average(side(&l.spots[s]), func(n int) float64 { return rank[n] }, float64(pos))
			}
			slices.SortStableFunc(spots, func(a, b int) int { return cmp.Compare(mean[a], mean[b]) })
			for pos, s := range spots {
				rank[s] = float64(pos)
			}
		}
		if sweep%2 == 0 {
			for k := range l.layers {
				visit(k, func(s *spot) []int { return s.before })
			}
		} else {
			for k := len(l.layers) - 1; k >= 0; k-- {
				visit(k, func(s *spot) []int { return s.after })
			}
		}
		if n := l.crossings(); n < fewest {
			best, fewest = l.orders(), n
		}
	}
	l.layers = best
}

func average(of []int, value func(int) float64, otherwise float64) float64 {
	if len(of) == 0 {
		return otherwise
	}
	sum := 0.0
	for _, n := range of {
		sum += value(n)
	}
	return sum / float64(len(of))
}

func (l *layout) orders() [][]int {
	list := make([][]int, len(l.layers))
	for k, spots := range l.layers {
		list[k] = slices.Clone(spots)
	}
	return list
}

// crossings counts pairs of edges between neighbouring layers that cross: for
// each edge, those that start above it and end below. The ends are counted in a
// Fenwick tree.
func (l *layout) crossings() int {
	total := 0
	at := make([]int, len(l.spots))
	for _, spots := range l.layers {
		for pos, s := range spots {
			at[s] = pos
		}
	}
	for k := 0; k+1 < len(l.layers); k++ {
		tree := make([]int, len(l.layers[k+1])+1)
		seen := 0
		for _, s := range l.layers[k] {
			ends := slices.Clone(l.spots[s].after)
			for _, e := range ends {
				notBelow := 0
				for i := at[e] + 1; i > 0; i -= i & -i {
					notBelow += tree[i]
				}
				total += seen - notBelow
			}
			for _, e := range ends {
				for i := at[e] + 1; i < len(tree); i += i & -i {
					tree[i]++
				}
			}
			seen += len(ends)
		}
	}
	return total
}

// stack gives every spot its height: one below the other, then each as near to
// its neighbours as those above and below it in its layer leave room.
func (l *layout) stack() {
	for _, spots := range l.layers {
		y := 0.0
		for _, s := range spots {
			l.spots[s].y = y
			y += l.spots[s].h + jobGap
		}
	}
	middle := func(n int) float64 { return l.spots[n].middle() }
	for pass := range 6 {
		for k := range l.layers {
			side := func(s *spot) []int { return s.before }
			if pass%2 == 1 {
				k = len(l.layers) - 1 - k
				side = func(s *spot) []int { return s.after }
			}
			wish := make([]float64, len(l.layers[k]))
			for pos, s := range l.layers[k] {
				spot := &l.spots[s]
				wish[pos] = average(side(spot), middle, spot.middle()) - spot.h/2
			}
			l.settleLayer(l.layers[k], wish)
		}
	}
}

// settleLayer moves the spots of a layer as near to their wishes as possible
// without changing their order or letting them touch: least squares, by pooling
// neighbours that want to pass each other.
func (l *layout) settleLayer(spots []int, wish []float64) {
	type pool struct {
		sum  float64
		size int
	}
	var pools []pool
	offset := make([]float64, len(spots))
	for i := range spots {
		if i > 0 {
			offset[i] = offset[i-1] + l.spots[spots[i-1]].h + jobGap
		}
		pools = append(pools, pool{wish[i] - offset[i], 1})
		for n := len(pools); n > 1 && pools[n-2].sum*float64(pools[n-1].size) > pools[n-1].sum*float64(pools[n-2].size); n-- {
			pools[n-2].sum += pools[n-1].sum
			pools[n-2].size += pools[n-1].size
			pools = pools[:n-1]
		}
	}
	i := 0
	for _, p := range pools {
		y := max(0, p.sum/float64(p.size))
		for range p.size {
			l.spots[spots[i]].y = y + offset[i]
			i++
		}
	}
}
