package stacktest

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
)

// Front stands before another emulator of the same services and answers what
// that one does not know: the template of a change set, and events of
// operations, of which it says that there is no such call.
type Front struct {
	http   *httptest.Server
	target string

	turn sync.Mutex // emulators mix up calls at the same time

	mu        sync.Mutex
	templates map[string]string // by ARN of the change set
}

// NewFront starts one before the emulator at a URL; the caller closes it.
func NewFront(target string) *Front {
	f := &Front{target: strings.TrimSuffix(target, "/"), templates: map[string]string{}}
	f.http = httptest.NewServer(http.HandlerFunc(f.serve))
	return f
}

// Close stops serving.
func (f *Front) Close() { f.http.Close() }

// URL is the endpoint of all services. Emulators know localhost as their own.
func (f *Front) URL() string { return strings.Replace(f.http.URL, "127.0.0.1", "localhost", 1) }

func (f *Front) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	values := url.Values{}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		values, _ = url.ParseQuery(string(body))
	}
	switch action, name := values.Get("Action"), values.Get("ChangeSetName"); {
	case action == "DescribeEvents":
		writeFault(w, &fault{http.StatusBadRequest, "InvalidAction", "Could not find operation DescribeEvents"})
	case action == "GetTemplate" && name != "":
		f.mu.Lock()
		text := f.templates[name]
		f.mu.Unlock()
		w.Header().Set("Content-Type", "text/xml")
		group("GetTemplateResponse", group("GetTemplateResult", el("TemplateBody", text))).write(w)
	case action == "CreateChangeSet":
		f.createChangeSet(w, r, body, values)
	default:
		status, header, answer, err := f.forward(r.Method, r.URL.RequestURI(), r.Header, body)
		pass(w, status, header, answer, err)
	}
}

// createChangeSet remembers the template of what it forwards.
func (f *Front) createChangeSet(w http.ResponseWriter, r *http.Request, body []byte, values url.Values) {
	status, header, answer, err := f.forward(r.Method, r.URL.RequestURI(), r.Header, body)
	var made struct {
		ID string `xml:"CreateChangeSetResult>Id"`
	}
	if err == nil && status == http.StatusOK && xml.Unmarshal(answer, &made) == nil {
		text := values.Get("TemplateBody")
		if u, wrong := url.Parse(values.Get("TemplateURL")); wrong == nil && text == "" {
			_, _, got, _ := f.forward(http.MethodGet, u.RequestURI(), signedForS3, nil)
			text = string(got)
		}
		f.mu.Lock()
		f.templates[made.ID] = text
		f.mu.Unlock()
	}
	pass(w, status, header, answer, err)
}

// signedForS3 is a signature as emulators want it: they read the service from
// it and do not verify it.
var signedForS3 = http.Header{"Authorization": {
	"AWS4-HMAC-SHA256 Credential=testing/20260102/" + Region + "/s3/aws4_request, SignedHeaders=host, Signature=0"}}

// CreateBucket makes a bucket in the emulator.
func (f *Front) CreateBucket(name string) error {
	location := group("CreateBucketConfiguration", el("LocationConstraint", Region))
	var body bytes.Buffer
	location.write(&body)
	_, _, _, err := f.forward(http.MethodPut, "/"+name, signedForS3, body.Bytes())
	return err
}

func (f *Front) forward(method, uri string, header http.Header, body []byte) (int, http.Header, []byte, error) {
	req, err := http.NewRequest(method, f.target+uri, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header = header.Clone()
	f.turn.Lock()
	defer f.turn.Unlock()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, res.Header, answer, err
}

func pass(w http.ResponseWriter, status int, header http.Header, answer []byte, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	for name, values := range header {
		w.Header()[name] = values
	}
	w.WriteHeader(status)
	_, _ = w.Write(answer)
}
