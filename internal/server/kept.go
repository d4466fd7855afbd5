package server

import (
	"sync"

	"refline/internal/logfile"
)

// keptLogs keeps what was found in logs that do not change any more, of the last ones.
type keptLogs[T any] struct {
	mu   sync.Mutex
	byID map[logfile.ID]T
	last []logfile.ID
}

// of returns what is kept of a log. If nothing is, it is found, and kept if the log has
// ended; at most so many logs are.
func (k *keptLogs[T]) of(id logfile.ID, ended bool, most int, find func() (T, error)) (T, error) {
	k.mu.Lock()
	found, known := k.byID[id]
	k.mu.Unlock()
	if known {
		return found, nil
	}
	found, err := find()
	if err != nil || !ended {
		return found, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byID == nil {
		k.byID = map[logfile.ID]T{}
	}
	if _, known := k.byID[id]; !known {
		k.last = append(k.last, id)
	}
	k.byID[id] = found
	if len(k.last) > most {
		delete(k.byID, k.last[0])
		k.last = k.last[1:]
	}
	return found, nil
}
