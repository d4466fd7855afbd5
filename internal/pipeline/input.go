package pipeline

import (
	"encoding/json"
	"fmt"
)

// InputText is the value of an input as people type it and as a script gets it: a text as
// it is, all else as JSON.
func InputText(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// InputSubject is the subject of findings about an input.
func InputSubject(name string) string { return "inputs:" + name }
