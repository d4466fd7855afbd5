package web

import (
	"bytes"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"refline/internal/api"
	"refline/internal/stack/planfile"
)

func artifactPages() []page {
	return []page{
		{pattern: "GET /runs/{run}/jobs/{job}/artifacts", need: "read", show: showArtifacts},
		{pattern: "GET /runs/{run}/jobs/{job}/artifacts/view", need: "read", show: showArtifact},
	}
}

// mostText bounds how much of a file is shown.
const mostText = 256 << 10

type artifactsData struct {
	api.Artifacts
	Job     string
	Run     runLine
	Says    string
	Crumbs  []crumb // the folders that lead here
	Rows    []artifactRow
	Reports []fact
	Zip     string // paths of the API
	Whole   string
	More    string
}

type crumb struct{ Name, Path string }

type artifactRow struct {
	Name, Path, Sub, Size string
	Download              string
	Folder                bool
}

// artifactAddress is what a page of artifacts is about.
type artifactAddress struct {
	run     int64
	job     string
	attempt int
}

func (c *request) artifactAddress() (a artifactAddress, err error) {
	a.run, err = c.runID()
	a.job, a.attempt = c.PathValue("job"), c.queryNumber("attempt")
	return a, err
}

func (a artifactAddress) path(what string, values url.Values) string {
	if a.attempt > 0 {
		values.Set("attempt", strconv.Itoa(a.attempt))
	}
	for name := range values {
		if values.Get(name) == "" {
			values.Del(name)
		}
	}
	out := jobPath(a.run, a.job) + "/artifacts" + what
	if len(values) > 0 {
		out += "?" + values.Encode()
	}
	return out
}

func (a artifactAddress) api(what string, values url.Values) string {
	return api.ArtifactsPath(a.run, a.job, a.attempt, what, values)
}

func (a artifactAddress) folder(name string) string { return a.path("", url.Values{"folder": {name}}) }

// crumbs are the folders of a path, each a link.
func (a artifactAddress) crumbs(folder string) []crumb {
	out := []crumb{{"artifacts", a.folder("")}}
	if folder == "" || folder == "." {
		return out
	}
	at := ""
	for part := range strings.SplitSeq(folder, "/") {
		at = path.Join(at, part)
		out = append(out, crumb{planfile.Plain(part), a.folder(at)})
	}
	return out
}

func showArtifacts(c *request) (*View, error) {
	a, err := c.artifactAddress()
	if err != nil {
		return nil, err
	}
	list, err := c.API.Artifacts(c.ctx(), a.run, a.job, a.attempt, c.URL.Query().Get("folder"), c.URL.Query().Get("after"))
	if err != nil {
		return nil, err
	}
	run, err := c.API.Run(c.ctx(), a.run)
	if err != nil {
		return nil, err
	}
	d := artifactsData{Artifacts: list, Job: a.job, Run: lineOf(run), Crumbs: a.crumbs(list.Folder)}
	d.Says = count(list.Files, "file", "files") + ", " + byteSize(list.Bytes)
	d.Zip, d.Whole = a.api("archive", nil), a.api("archive", url.Values{"format": {"tar.zst"}})
	if list.Next != "" {
		d.More = a.path("", url.Values{"folder": {list.Folder}, "after": {list.Next}})
	}
	for _, e := range list.Entries {
		d.Rows = append(d.Rows, a.row(e))
	}
	for _, kind := range sortedKeys(list.Reports) {
		d.Reports = append(d.Reports, fact{kind, plain(cut(planfile.Plain(strings.Join(list.Reports[kind], ", ")), 300))})
	}
	return &View{
		Template: "artifacts", Title: fmt.Sprintf("artifacts of %s, %s #%d", a.job, d.Run.Name, run.Number), Section: "/runs",
		Data: d,
	}, nil
}

func (a artifactAddress) row(e api.ArtifactEntry) artifactRow {
	row := artifactRow{Name: planfile.Plain(e.Name), Size: byteSize(e.Size), Folder: e.Folder}
	switch {
	case e.Folder:
		row.Name, row.Path, row.Sub = row.Name+"/", a.folder(e.Path), count(e.Files, "file", "files")
	case e.Link != "":
		row.Size, row.Sub = "", "link to "+planfile.Plain(e.Link)
	default:
		row.Path = a.path("/view", url.Values{"path": {e.Path}})
		row.Download = a.api("file", url.Values{"path": {e.Path}})
	}
	return row
}

type artifactData struct {
	Job, Name string
	Run       runLine
	Crumbs    []crumb
	Says      string
	Download  string // paths of the API
	Open      string // shows the file alone, without rights
	Image     string
	Lines     []string
	Prose     template.HTML
	Source    string // path of the text of a prose
	Cut       bool
}

// showArtifact shows a text or an image. Of a web page it shows the text: the page itself
// opens alone, in a sandbox.
func showArtifact(c *request) (*View, error) {
	a, err := c.artifactAddress()
	if err != nil {
		return nil, err
	}
	name := c.URL.Query().Get("path")
	run, err := c.API.Run(c.ctx(), a.run)
	if err != nil {
		return nil, err
	}
	body, err := c.API.ArtifactFile(c.ctx(), a.run, a.job, a.attempt, name)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, mostText+1))
	if err != nil {
		return nil, err
	}
	d := artifactData{Job: a.job, Name: planfile.Plain(path.Base(name)), Run: lineOf(run), Crumbs: a.crumbs(path.Dir(name)), Download: a.api("file", url.Values{"path": {name}})}
	shown := a.api("file", url.Values{"path": {name}, "show": {"true"}})
	ext := strings.ToLower(path.Ext(name))
	switch {
	case slices.Contains([]string{".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg"}, ext):
		d.Image, d.Open = shown, shown
	case ext == ".html" || ext == ".htm":
		d.Open = shown
	}
	if d.Image == "" {
		d.addText(a, name, ext, text, c.URL.Query().Get("source") != "")
	}
	return &View{
		Template: "artifact", Title: fmt.Sprintf("%s of %s, %s #%d", d.Name, a.job, d.Run.Name, run.Number), Section: "/runs",
		Data: d,
	}, nil
}

func (d *artifactData) addText(a artifactAddress, name, ext string, text []byte, source bool) {
	if len(text) > mostText {
		d.Cut, text = true, text[:mostText]
		for len(text) > 0 && !utf8.Valid(text[max(len(text)-utf8.UTFMax, 0):]) && !utf8.RuneStart(text[len(text)-1]) {
			text = text[:len(text)-1]
		}
		if last := bytes.LastIndexByte(text, '\n'); last > 0 {
			text = text[:last]
		}
	}
	switch {
	case len(text) == 0:
		d.Says = "The file is empty."
	case bytes.IndexByte(text, 0) >= 0 || !utf8.Valid(text):
		d.Says = "This is not a text: it can be downloaded."
	case ext == ".md" && !source:
		d.Prose, d.Source = markdown(string(text)), a.path("/view", url.Values{"path": {name}, "source": {"true"}})
	default:
		for line := range strings.SplitSeq(strings.TrimSuffix(string(text), "\n"), "\n") {
			d.Lines = append(d.Lines, planfile.Plain(strings.TrimSuffix(line, "\r")))
		}
	}
}

// byteSize writes a size: 812 B, 3.1 kB, 14 MB.
func byteSize(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value := float64(n)
	for _, unit := range []string{"kB", "MB", "GB", "TB"} {
		if value /= 1000; value < 9.95 {
			return strconv.FormatFloat(value, 'f', 1, 64) + " " + unit
		}
		if value < 999.5 || unit == "TB" {
			return strconv.FormatFloat(value, 'f', 0, 64) + " " + unit
		}
	}
	return ""
}
