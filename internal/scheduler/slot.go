package scheduler

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"refline/internal/pipeline"
	"refline/internal/store"
)

// Slots limit how many runs or jobs do something at a time. A run has all slots
// that it needs, or none, so none waits for another that waits for it. Who gets a
// free one is decided where it becomes free: that turn writes the holder, also
// for a run that is not its own, and leaves that run a message.

// wholeRun is the position of a claim that is not of a job.
const wholeRun = -1

// slotsOf lists the slots of a new run and keeps the limit of its flow.
func (t *turn) slotsOf(n *NewRun) ([]store.SlotKey, error) {
	var keys []store.SlotKey
	if n.Flow != 0 && n.Concurrency > 0 {
		key := store.FlowSlot(n.Flow)
		keys = append(keys, key)
		if err := t.lockSlots(); err != nil {
			return nil, err
		}
		want := store.Slot{SlotKey: key, Max: n.Concurrency, Policy: string(cmp.Or(n.WhenBusy, BusyQueue))}
		if have, err := t.tx.Slot(t.ctx, key); err != nil || have == want {
			return appendNamed(keys, n.Slots), err
		}
		if err := t.tx.PutSlot(t.ctx, want); err != nil {
			return nil, err
		}
		t.resized = append(t.resized, key)
	}
	return appendNamed(keys, n.Slots), nil
}

func appendNamed(keys []store.SlotKey, names []string) []store.SlotKey {
	for _, name := range names {
		if key := (store.SlotKey{Scope: store.ScopeNamed, Name: name}); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

func (t *turn) lockSlots() error {
	if t.slotsLocked {
		return nil
	}
	t.slotsLocked = true
	return t.tx.LockSlots(t.ctx)
}

// settle follows trigger jobs and slots until nothing changes any more.
func (t *turn) settle() error {
	for _, c := range t.batch {
		if c.slot == nil {
			continue
		}
		if err := t.lockSlots(); err != nil {
			return err
		}
		if err := t.tx.PutSlot(t.ctx, *c.slot); err != nil {
			return err
		}
		t.resized = append(t.resized, c.slot.SlotKey)
	}
	for {
		if err := t.followTriggers(); err != nil {
			return err
		}
		if len(t.slotDirty) == 0 && len(t.resized) == 0 {
			if err := t.refuseBusy(); err != nil || len(t.slotDirty) == 0 {
				return cmp.Or(err, t.dropLaunches())
			}
		}
		if err := t.lockSlots(); err != nil {
			return err
		}
		touched, err := t.syncClaims()
		if err != nil {
			return err
		}
		for _, key := range t.resized {
			touched[key] = true
		}
		t.resized = nil
		keys := slices.SortedFunc(maps.Keys(touched), func(a, b store.SlotKey) int {
			return cmp.Or(cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.Name, b.Name))
		})
		for _, key := range keys {
			if err := t.give(key); err != nil {
				return err
			}
		}
	}
}

// syncClaims brings the claims of changed runs to their states, and returns the
// slots for which that may matter to others.
func (t *turn) syncClaims() (map[store.SlotKey]bool, error) {
	runs := slices.Sorted(maps.Keys(t.slotDirty))
	clear(t.slotDirty)
	rows, err := t.tx.ClaimsOf(t.ctx, runs)
	if err != nil {
		return nil, err
	}
	have := map[int64][]store.Claim{}
	for _, c := range rows {
		have[c.Run] = append(have[c.Run], c)
	}
	touched := map[store.SlotKey]bool{}
	var put, drop []store.Claim
	for _, id := range runs {
		r := t.runs[id]
		if err := t.admit(r, have[id]); err != nil {
			return nil, err
		}
		want := r.claims()
		for _, c := range have[id] {
			if !slices.ContainsFunc(want, func(w store.Claim) bool { return sameClaim(w, c) }) {
				drop = append(drop, c)
				touched[c.SlotKey] = true
			}
		}
		for _, w := range want {
			if !slices.Contains(have[id], w) {
				put = append(put, w)
				touched[w.SlotKey] = true
			}
		}
	}
	return touched, cmp.Or(t.tx.DropClaims(t.ctx, drop), t.tx.PutClaims(t.ctx, put))
}

func sameClaim(a, b store.Claim) bool { return a.SlotKey == b.SlotKey && a.Pos == b.Pos }

// admit lets a run go on with slots that it was given.
func (t *turn) admit(r *run, have []store.Claim) error {
	held := func(key store.SlotKey) int {
		return slices.IndexFunc(have, func(c store.Claim) bool { return c.SlotKey == key && c.State == store.ClaimHeld })
	}
	if len(r.Held) > 0 && !slices.ContainsFunc(r.Slots, func(key store.SlotKey) bool { return held(key) < 0 }) {
		t.granted[r.ID] = true
		if err := t.apply(r); err != nil {
			return err
		}
	}
	for _, group := range r.c.groups {
		i := held(store.SlotKey{Scope: store.GroupScope(r.Project), Name: group})
		if i < 0 || r.groupHolder(group) >= 0 {
			continue
		}
		if j := &r.jobs[have[i].Pos]; j.Status == pipeline.StatusWaitingForResource && j.Attempt == have[i].Attempt {
			if err := t.apply(r, pipeline.Event{Kind: pipeline.EventRelease, Group: group}); err != nil {
				return err
			}
		}
	}
	return nil
}

// groupHolder returns the position of the job that has a resource group, -1 for
// none.
func (r *run) groupHolder(group string) int {
	return slices.IndexFunc(r.jobs, func(j store.Job) bool {
		return r.c.pipeline.Jobs[j.Pos].ResourceGroup == group && takesGroup(j.Status)
	})
}

func takesGroup(s pipeline.Status) bool {
	return s == pipeline.StatusPreparing || s == pipeline.StatusPending || hasAttempt(s)
}

// claims are what a run has and waits for by its state.
func (r *run) claims() []store.Claim {
	var list []store.Claim
	if state := store.ClaimHeld; r.underWay() || len(r.Held) > 0 {
		if len(r.Held) > 0 {
			state = store.ClaimWaiting
		}
		for _, key := range r.Slots {
			list = append(list, store.Claim{SlotKey: key, Run: r.ID, Pos: wholeRun, Priority: r.Priority, State: state})
		}
	}
	if len(r.c.groups) == 0 || !r.created() {
		return list
	}
	for i := range r.jobs {
		group, state := r.c.pipeline.Jobs[i].ResourceGroup, store.ClaimComing
		switch s := r.jobs[i].Status; {
		case group == "":
			continue
		case takesGroup(s):
			state = store.ClaimHeld
		case s == pipeline.StatusWaitingForResource:
			state = store.ClaimWaiting
		case s != pipeline.StatusCreated && s != pipeline.StatusScheduled || r.Result != "" && r.Result != pipeline.ResultWaiting:
			continue
		}
		list = append(list, store.Claim{SlotKey: store.SlotKey{Scope: store.GroupScope(r.Project), Name: group},
			Run: r.ID, Pos: i, Attempt: r.jobs[i].Attempt, Priority: r.Priority, State: state})
	}
	return list
}

// give gives the free places of a slot to those that wait for it.
func (t *turn) give(key store.SlotKey) error {
	for {
		free, err := t.isFree(key)
		if err != nil || !free {
			return err
		}
		claims, err := t.nextClaims(key)
		if err != nil || len(claims) == 0 {
			return err
		}
		for i := range claims {
			claims[i].State = store.ClaimHeld
		}
		if err := t.tx.PutClaims(t.ctx, claims); err != nil {
			return err
		}
		if id := claims[0].Run; t.runs[id] != nil {
			t.slotDirty[id] = true
		} else {
			t.post(store.Message{Run: id, Kind: store.MessageGranted})
		}
	}
}

func (t *turn) isFree(key store.SlotKey) (bool, error) {
	slot, err := t.tx.Slot(t.ctx, key)
	if err != nil || slot.Max == 0 {
		return true, err
	}
	n, err := t.tx.CountHeld(t.ctx, key)
	return n < slot.Max, err
}

// nextClaims chooses who gets a free slot, with all other slots that it needs:
// runs by priority, then age; jobs by the mode of their resource group.
func (t *turn) nextClaims(key store.SlotKey) ([]store.Claim, error) {
	if key.Scope != store.ScopeFlow && key.Scope != store.ScopeNamed {
		return t.nextOfGroup(key)
	}
	const page = 100
	for skip := 0; ; skip += page {
		list, err := t.tx.Claims(t.ctx, key, store.ByPriority, page, skip, store.ClaimWaiting)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			all, err := t.tx.ClaimsOf(t.ctx, []int64{c.Run})
			if err != nil {
				return nil, err
			}
			all = slices.DeleteFunc(all, func(o store.Claim) bool { return o.Pos != wholeRun })
			blocked := false
			for _, o := range all {
				if o.SlotKey != key && o.State == store.ClaimWaiting && !blocked {
					free, err := t.isFree(o.SlotKey)
					if err != nil {
						return nil, err
					}
					blocked = !free
				}
			}
			if !blocked {
				return all, nil
			}
		}
		if len(list) < page {
			return nil, nil
		}
	}
}

func (t *turn) nextOfGroup(key store.SlotKey) ([]store.Claim, error) {
	slot, err := t.tx.Slot(t.ctx, key)
	if err != nil {
		return nil, err
	}
	mode, order := pipeline.ResourceMode(slot.Policy), store.ByPriority
	states := []store.ClaimState{store.ClaimWaiting, store.ClaimComing}
	switch mode {
	case pipeline.ResourceModeOldestFirst:
		order = store.OldestRun
	case pipeline.ResourceModeNewestFirst:
		order = store.NewestRun
	case pipeline.ResourceModeNewestReadyFirst:
		order, states = store.NewestRun, states[:1]
	default:
		states = states[:1]
	}
	const most = 500
	list, err := t.tx.Claims(t.ctx, key, order, most, 0, states...)
	if err != nil {
		return nil, err
	}
	asked := make([]pipeline.Claim, len(list))
	for i, c := range list {
		asked[i] = pipeline.Claim{Pipeline: c.Run, Job: strconv.Itoa(c.Pos), Status: pipeline.StatusWaitingForResource}
		if c.State == store.ClaimComing {
			asked[i].Status = pipeline.StatusCreated
		}
	}
	next, ok := pipeline.NextClaim(mode, asked)
	if !ok {
		return nil, nil
	}
	i := slices.Index(asked, next)
	return list[i : i+1], nil
}

// refuseBusy does what the policies of flows say about new runs that have to
// wait: skip them, or cancel older ones for them.
func (t *turn) refuseBusy() error {
	fresh := t.fresh
	t.fresh = nil
	for _, r := range fresh {
		if len(r.Held) == 0 || r.created() || r.Flow == 0 {
			continue
		}
		key := store.FlowSlot(r.Flow)
		if !slices.Contains(r.Slots, key) {
			continue
		}
		slot, err := t.tx.Slot(t.ctx, key)
		if err != nil {
			return err
		}
		held, err := t.tx.Claims(t.ctx, key, store.OldestRun, 1000, 0, store.ClaimHeld)
		if err != nil {
			return err
		}
		if len(held) < slot.Max {
			continue // it waits for another slot
		}
		switch WhenBusy(slot.Policy) {
		case BusySkip:
			t.skip(r, fmt.Sprintf("skipped: run %d of the flow is under way, and it may have %d at a time", held[0].Run, slot.Max))
		case BusyCancelOld:
			waiting, err := t.tx.Claims(t.ctx, key, store.OldestRun, 1000, 0, store.ClaimWaiting)
			if err != nil {
				return err
			}
			for _, c := range append(waiting, held[:len(held)-slot.Max+1]...) {
				if c.Run < r.ID {
					t.post(store.Message{Run: c.Run, Kind: store.MessageReplaced, Origin: r.ID})
				}
			}
		}
	}
	return nil
}
