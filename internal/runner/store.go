package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"

	"refline/internal/artifact"
	"refline/internal/cache"
	"refline/internal/workspace"
)

// setStores says where artifacts and caches are kept: artifacts at the server,
// caches too if it says so, else in the runner's folder.
func (i *input) setStores() {
	r := i.a.r
	t := &transfer{r: r, session: i.a.journal.Session, fence: i.a.fence}
	i.in.Caches = r.caches
	if i.spec.Keep != "" || len(i.spec.Take) > 0 {
		i.in.Artifacts = artifact.NewRemote(t, r.folder("transfers"))
	}
	if i.spec.KeepCaches {
		i.in.Caches = cache.NewRemote(t, r.folder("transfers"), func(id cache.ID) string {
			sum := sha256.Sum256([]byte(id.Key))
			return "cache/" + hex.EncodeToString(sum[:])
		})
	}
	if !i.spec.Protected {
		i.in.Caches = unprotected{i.in.Caches}
	}
}

// unprotected keeps the caches of protected refs from the jobs of others, whatever
// variables such a job sets: those caches have a suffix of their own.
type unprotected struct{ cache.Store }

func (u unprotected) id(id cache.ID) cache.ID {
	if strings.HasSuffix(id.Key, "-protected") {
		id.Key += " of an unprotected ref"
	}
	return id
}

// Get implements [cache.Store].
func (u unprotected) Get(ctx context.Context, id cache.ID, into *os.Root, seen map[string]workspace.Identity) (cache.Entry, error) {
	return u.Store.Get(ctx, u.id(id), into, seen)
}

// Put implements [cache.Store].
func (u unprotected) Put(ctx context.Context, id cache.ID, files *workspace.Selection, before cache.Restored, move bool) (bool, error) {
	return u.Store.Put(ctx, u.id(id), files, before, move)
}
