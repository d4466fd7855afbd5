package secret

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"go.yaml.in/yaml/v4"
)

const content = "s3cret-c0ntent"

type holder struct {
	Name   string
	Public Value
	hidden Value
	Deep   []map[string]Value
	Ptr    *Value
}

type xmlHolder struct{ V Value }

func TestValueNeverPrints(t *testing.T) {
	t.Parallel()
	v := NewString(content)
	h := holder{"n", v, v, []map[string]Value{{"k": v}}, &v}
	outputs := map[string]string{
		"Sprint":   fmt.Sprint(v, &v, h, &h),
		"Errorf":   fmt.Errorf("wrapped: %w, %v", errors.New("x"), v).Error(),
		"template": execute(t, h),
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%o", "%c", "%U", "%e", "%20s", "%-9.3v", "%T", "%p", "%!"} {
		for name, arg := range map[string]any{"value": v, "pointer": &v, "struct": h, "pointer to struct": &h, "slice": []Value{v}, "map": map[string]Value{"k": v}} {
			outputs[verb+" of a "+name] = fmt.Sprintf(verb, arg)
		}
	}
	for name, encode := range map[string]func(any) ([]byte, error){
		"json": json.Marshal, "yaml": yaml.Marshal,
		"xml": func(any) ([]byte, error) { return xml.Marshal(xmlHolder{v}) },
		"gob": func(any) ([]byte, error) {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(struct{ V Value }{v})
			return b.Bytes(), err
		},
	} {
		b, err := encode(h)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Contains(b, []byte(masked)) {
			t.Errorf("%s does not say that it is masked: %s", name, b)
		}
		outputs[name] = string(b)
	}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("msg", "v", v, "p", &v, "h", h, slog.Group("g", "v", v))
	}
	outputs["slog"] = log.String()
	for name, out := range outputs {
		for form, secret := range map[string]string{"text": content, "hex": fmt.Sprintf("%x", content), "bytes": strings.Trim(fmt.Sprint([]byte(content)), "[]")} {
			if strings.Contains(strings.ToLower(out), secret) {
				t.Errorf("%s shows the content as %s: %s", name, form, out)
			}
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(verb, v); got != masked {
			t.Errorf("%s gives %q, want %q", verb, got, masked)
		}
	}
}

func execute(t *testing.T, h holder) string {
	t.Helper()
	var b strings.Builder
	if err := template.Must(template.New("").Parse(`{{.Public}} {{printf "%s" .Public}} {{.}}`)).Execute(&b, h); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestValue(t *testing.T) {
	t.Parallel()
	source := []byte(content)
	v := New(source)
	source[0] = 'X'
	got := v.Reveal()
	got[1] = 'Y'
	if string(v.Reveal()) != content || v.RevealString() != content || v.Len() != len(content) {
		t.Error("the content can be changed from outside")
	}
	if !v.Equal(NewString(content)) || v.Equal(NewString("other")) || v.Equal(Value{}) || !(Value{}).Equal(NewString("")) {
		t.Error("Equal is wrong")
	}
	var zero Value
	if zero.Len() != 0 || zero.String() != masked || fmt.Sprintf("%#v", zero) != masked {
		t.Error("the zero value is not empty and masked")
	}
}
