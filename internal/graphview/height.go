package graphview

// setHeights sets the y of every spot: first one below the other, then each as
// near to the mean of its neighbours as the rest of its layer allows.
func (l *layout) setHeights() {
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
			l.moveLayer(l.layers[k], wish)
		}
	}
}

// moveLayer moves the spots of a layer as near to their wishes as possible
// without changing their order or letting them touch. It minimises the squared
// distances by pooling neighbours that would pass each other (isotonic
// regression).
func (l *layout) moveLayer(spots []int, wish []float64) {
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
