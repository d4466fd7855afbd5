package engine

// copyContent copies what is left of from. Sharing of blocks is done a tree at
// a time, by clonefile.
func copyContent(to, from int, size int64) (int64, error) { return copyBuffered(to, from, size) }
