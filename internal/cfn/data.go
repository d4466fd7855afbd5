package cfn

import (
	"strconv"

	"refline/internal/diag"
	"refline/internal/jsonnet"
)

// dataPlaces gives the places of the values in a file of YAML or JSON, none if it
// cannot be read as one document.
func dataPlaces(file string, text []byte) jsonnet.Locations {
	t := &Template{File: file}
	if found := t.read(text); t.Root == nil || len(found) > 0 {
		return nil
	}
	places := jsonnet.Locations{}
	var walk func(n *Node, pointer string, pos Pos)
	walk = func(n *Node, pointer string, pos Pos) {
		places[pointer] = diag.Place{File: file, Line: pos.Line, Column: pos.Column}
		for _, f := range n.Fields {
			walk(f.Value, pointer+"/"+jsonnet.Escape(f.Name), f.Pos)
		}
		for i, item := range n.Items {
			walk(item, pointer+"/"+strconv.Itoa(i), item.Pos)
		}
	}
	walk(t.Root, "", t.Root.Pos)
	return places
}
