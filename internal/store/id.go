package store

import "context"

// idBlock is how many ids are taken from the database at a time; those of a
// block that are not used when a server ends are lost.
const idBlock = 100

// NewIDs returns n new ids of a kind ("run", "attempt", …), unique among all
// servers on the database and growing on each. It must not be called inside of
// [Store.Update].
func (s *Store) NewIDs(ctx context.Context, kind string, n int) ([]int64, error) {
	s.ids.Lock()
	defer s.ids.Unlock()
	list := make([]int64, 0, n)
	for len(list) < n {
		if s.ids.next[kind] == s.ids.end[kind] {
			if err := s.takeBlock(ctx, kind, int64(max(idBlock, n-len(list)))); err != nil {
				return nil, err
			}
		}
		list = append(list, s.ids.next[kind])
		s.ids.next[kind]++
	}
	return list, nil
}

func (s *Store) takeBlock(ctx context.Context, kind string, n int64) error {
	var end int64
	err := s.Update(ctx, func(t *Tx) error {
		row := t.tx.QueryRowContext(ctx, s.rebind(`INSERT INTO counters (name, next) VALUES (?, ?)
			ON CONFLICT (name) DO UPDATE SET next = counters.next + ? RETURNING next`), kind, n+1, n)
		return storageError(row.Scan(&end))
	})
	if err != nil {
		return err
	}
	s.ids.next[kind], s.ids.end[kind] = end-n, end
	return nil
}
