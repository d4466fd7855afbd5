package server

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/store"
)

var slotName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\pL\pN_][\pL\pN_.+@/-]{0,99}$`) })

func checkSlotName(name string) error {
	if !slotName().MatchString(name) {
		return errs.E(errs.Invalid, "%q cannot be the name of a slot: letters, digits and _ . + @ / -, at most 100", name)
	}
	return nil
}

func namedSlot(name string) store.SlotKey { return store.SlotKey{Scope: store.ScopeNamed, Name: name} }

// maxPlaces bounds a slot; more is no limit.
const maxPlaces = 100_000

// setSlot sets how many runs may have a slot at a time.
func (s *Server) setSlot(ctx context.Context, name string, places int) (api.Slot, error) {
	if err := checkSlotName(name); err != nil {
		return api.Slot{}, err
	}
	if places < 0 || places > maxPlaces {
		return api.Slot{}, errs.E(errs.Invalid, "slot %s cannot have %d places: give a number from 1, or 0 for any number", name, places)
	}
	if err := s.scheduler.SetSlot(ctx, store.Slot{SlotKey: namedSlot(name), Max: places}); err != nil {
		return api.Slot{}, err
	}
	return s.showSlot(ctx, name)
}

// showSlot returns a slot with who has it, who waits, and the flows that take it.
func (s *Server) showSlot(ctx context.Context, name string) (api.Slot, error) {
	known, err := s.slotNames(ctx)
	if err != nil {
		return api.Slot{}, err
	}
	flows, is := known[name]
	if !is {
		return api.Slot{}, errs.E(errs.NotFound, "no slot %q: none was set, and no flow takes one of that name; list them: refline slot list", name)
	}
	return s.wireSlot(ctx, name, flows)
}

func (s *Server) wireSlot(ctx context.Context, name string, flows []string) (api.Slot, error) {
	slot, err := s.store.SlotNamed(ctx, namedSlot(name))
	if err != nil {
		return api.Slot{}, err
	}
	out := api.Slot{Name: name, Max: slot.Max, Holders: []api.SlotClaim{}, Waiting: []api.SlotClaim{}, Flows: flows}
	claims, err := s.store.SlotClaims(ctx, slot.SlotKey)
	if err != nil {
		return out, err
	}
	names := s.newNames()
	for _, c := range claims {
		r, err := s.store.Run(ctx, c.Run)
		if errs.Is(err, errs.NotFound) {
			continue
		}
		if err != nil {
			return out, err
		}
		run, err := names.run(ctx, r)
		if err != nil {
			return out, err
		}
		w := api.SlotClaim{Run: c.Run, Project: run.Project, Flow: run.Flow}
		if c.State == store.ClaimHeld {
			out.Holders = append(out.Holders, w)
		} else {
			out.Waiting = append(out.Waiting, w)
		}
	}
	return out, nil
}

// slotNames are the slots that were set or that flows take, with these flows.
func (s *Server) slotNames(ctx context.Context) (map[string][]string, error) {
	set, err := s.store.Slots(ctx, store.ScopeNamed)
	if err != nil {
		return nil, err
	}
	names := map[string][]string{}
	for _, slot := range set {
		names[slot.Name] = nil
	}
	flows, err := s.store.Flows(ctx, store.FlowFilter{})
	for _, f := range flows {
		for _, name := range f.Slots {
			names[name] = append(names[name], f.Name)
		}
	}
	return names, err
}

func (s *Server) listSlots(ctx context.Context) ([]api.Slot, error) {
	known, err := s.slotNames(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]api.Slot, 0, len(known))
	for name, flows := range known {
		slot, err := s.wireSlot(ctx, name, flows)
		if err != nil {
			return nil, err
		}
		out = append(out, slot)
	}
	slices.SortFunc(out, func(a, b api.Slot) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// removeSlot removes a slot that no flow takes and that no run has.
func (s *Server) removeSlot(ctx context.Context, name string) error {
	slot, err := s.showSlot(ctx, name)
	switch {
	case err != nil:
		return err
	case len(slot.Flows) > 0:
		return errs.E(errs.Conflict, "slot %s is taken by flow %s; change that first: refline flow set %s --slot OTHER", name, joinWords(slot.Flows), slot.Flows[0])
	case len(slot.Holders)+len(slot.Waiting) > 0:
		return errs.E(errs.Conflict, "slot %s is in use; see by whom: refline slot show %s", name, name)
	}
	return s.store.Update(ctx, func(tx *store.Tx) error { return tx.RemoveSlot(ctx, namedSlot(name)) })
}
