package graphview

import (
	"cmp"
	"slices"
)

// sortLayers sorts each layer by the mean position of its neighbours, from left
// to right and back, and keeps the order with the fewest crossings.
func (l *layout) sortLayers() {
	best, fewest := l.copyLayers(), l.crossings()
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
			best, fewest = l.copyLayers(), n
		}
	}
	l.layers = best
}

// average is the mean value of a list, or otherwise if the list is empty.
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

func (l *layout) copyLayers() [][]int {
	list := make([][]int, len(l.layers))
	for k, spots := range l.layers {
		list[k] = slices.Clone(spots)
	}
	return list
}

// crossings counts the pairs of edges between neighbouring layers that cross.
// For each edge these are the edges that start above it and end below it; a
// Fenwick tree counts the ends.
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
